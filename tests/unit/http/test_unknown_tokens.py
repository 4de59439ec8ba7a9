"""Tokens that a node does not know yet: it asks the database, and then as if it had known them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from aiohttp.test_utils import make_mocked_request

from cinema.domain.principal import INVALID_TOKEN, InvalidToken, Principal
from cinema.domain.rejections import Refused, refuse
from cinema.http.connections.proxies import TrustedProxies
from cinema.http.connections.upload import Uploads
from cinema.http.connections.wire import ReplyWriter
from cinema.http.context import Call
from cinema.http.errors import error_table
from cinema.http.routes import Route
from cinema.http.steps import EdgeParts, LookUp, Steps
from cinema.telemetry.access_log import AccessLog
from cinema.telemetry.metrics import Metrics
from tests.support.bound_routes import ROUTES

ANN = Principal(b"a" * 16, "customer", b"s" * 16, 9e9)
AGAIN = Principal(b"a" * 16, "customer", b"t" * 16, 9e9)

LookUpToken = Callable[[str], Awaitable[Principal]]


def route(auth: str, *roles: str) -> Route:
    (found,) = [one for one in ROUTES if one.operation_id == "createBooking"]
    return msgspec.structs.replace(found, auth=auth, roles=frozenset(roles), guests=not roles)


def steps(of: Route, look_up: LookUpToken | None, who: Principal | None = None) -> Steps:
    """The steps around a route of a node that knows no token, or every one as somebody's."""
    parts = EdgeParts(
        errors=error_table(),
        writer=ReplyWriter(allowed_origins=(), hsts=False),
        access_log=AccessLog(lambda _: None, asyncio.get_running_loop().call_later),
        verify_token=lambda _: who,
        look_up_token=look_up,
        proxies=TrustedProxies(()),
        require_https=False,
        body_limit_bytes=1000,
        request_timeout_s=1.0,
        uploads=Uploads(1000),
    )
    return Steps(of, parts, Metrics().route(of.method, of.path, is_deprecated=False))


def request() -> Any:
    return make_mocked_request("POST", "/", headers={"Authorization": "Bearer token"})


async def known(_token: str) -> Principal:
    return AGAIN


async def invalid(_token: str) -> Principal:
    raise InvalidToken(INVALID_TOKEN)


async def away(_token: str) -> Principal:
    raise refuse("RETRY")


async def identified(of: Route, look_up: LookUpToken | None) -> Principal | None:
    with pytest.raises(LookUp) as unknown:
        steps(of, look_up).admit(request())
    return await unknown.value.identify()


async def outcome(asked: Awaitable[Principal | None]) -> Principal | str | None:
    try:
        return await asked
    except Refused as refused:
        return refused.rejection.code


@pytest.mark.parametrize(
    ("look_up", "needed", "lenient"),
    [
        (known, AGAIN, AGAIN),
        (invalid, "UNAUTHENTICATED", None),
        (None, "UNAUTHENTICATED", None),
        (away, "RETRY", "RETRY"),
    ],
)
async def test_a_lenient_route_takes_what_turns_out_to_be_no_token_for_none(
    look_up: LookUpToken | None, needed: Principal | str, lenient: Principal | str | None
) -> None:
    assert await outcome(identified(route("bearer"), look_up)) == needed
    assert await outcome(identified(route("lenient"), look_up)) == lenient


async def test_the_role_counts_once_it_is_known() -> None:
    assert await outcome(identified(route("bearer", "admin"), known)) == "FORBIDDEN"
    assert await outcome(identified(route("bearer", "customer"), known)) == AGAIN


async def test_a_lenient_route_refuses_what_is_not_the_tokens_fault() -> None:
    with pytest.raises(Refused, match="FORBIDDEN"):
        steps(route("lenient", "admin"), None, ANN).admit(request())
    assert steps(route("lenient", "customer"), None, ANN).admit(request()) == ANN


async def test_whoever_is_forgotten_while_the_body_is_on_its_way_is_looked_up_again() -> None:
    async def late(of: Route, look_up: LookUpToken | None) -> Principal | None:
        call = cast("Call", SimpleNamespace(request=request(), caller=ANN))
        await steps(of, look_up).admit_late(call)
        return call.caller

    assert await late(route("bearer"), known) == AGAIN
    assert await outcome(late(route("bearer"), invalid)) == "UNAUTHENTICATED"
    assert await outcome(late(route("bearer", "admin"), known)) == "FORBIDDEN"
    assert await late(route("lenient"), invalid) is None
    assert await outcome(late(route("lenient"), away)) == "RETRY"
