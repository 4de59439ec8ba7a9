"""The edge's step of throttles: what a route counts before its handler is asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from cinema.domain.ids import format_id
from cinema.http.proxies import TrustedProxies
from cinema.http.request import Asked, PromptRequest
from cinema.http.routing import WRITES, Route
from cinema.services.hold_limits import HoldLimits
from cinema.services.throttles import Throttles
from cinema.services.tokens import Principal


class CheckHold(Protocol):
    """Counts a command to a hold. Refuses RATE_LIMITED."""

    def __call__(self, principal: Principal, request: Asked) -> None: ...


CountWrite = Callable[[Principal], Awaitable[None]]


class EdgeLimits(msgspec.Struct, frozen=True):
    """What the routes of an edge are limited by."""

    throttles: Throttles
    holds: HoldLimits


def hold_check(
    route: Route, limits: EdgeLimits | None, proxies: TrustedProxies
) -> CheckHold | None:
    """What counts a command to a hold; None for any other route."""
    if limits is None or route.throttle != "holds":
        return None
    check, key_of, is_direct = limits.holds.check, proxies.client_key, proxies.are_none

    def check_hold(principal: Principal, request: Asked) -> None:
        if is_direct and isinstance(request, PromptRequest):
            check(principal, request.connection.address_key)
        else:
            check(principal, key_of(request))

    return check_hold


def write_count(route: Route, limits: EdgeLimits | None) -> CountWrite | None:
    """What counts a write of somebody signed in; None where there is none, or it has its own."""
    is_write = route.method in WRITES and route.auth == "bearer" and route.throttle == "writes"
    if limits is None or not is_write:
        return None
    throttles = limits.throttles

    async def count(principal: Principal) -> None:
        await throttles.count(throttles.writes, format_id(principal.user_id))

    return count
