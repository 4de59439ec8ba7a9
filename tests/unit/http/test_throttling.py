"""By which address a command to a hold is counted, and which routes count what."""

from __future__ import annotations

import msgspec
import pytest
from aiohttp.test_utils import make_mocked_request

from cinema.domain.principal import Principal
from cinema.http.connections.proxies import TrustedProxies
from cinema.http.routes import Route
from cinema.http.throttling import EdgeLimits, command_check, write_count
from tests.support.bound_routes import ROUTES

ANN = Principal(b"a" * 16, "customer", b"s" * 16, 9e9)


def route_of(operation: str) -> Route:
    (found,) = [route for route in ROUTES if route.operation_id == operation]
    return found


class Counted:
    """The limits of an edge, which note what they are asked to count."""

    def __init__(self) -> None:
        self.holds: list[tuple[bytes, str]] = []
        self.writes: list[bytes] = []
        self.limits = EdgeLimits(count_write=self._write, take_command=self._hold)

    async def _write(self, principal: Principal) -> None:
        self.writes.append(principal.user_id)

    def _hold(self, principal: Principal, key: str) -> None:
        self.holds.append((principal.user_id, key))


@pytest.mark.parametrize(("trusted", "key"), [((), "10.0.0.1"), (("10.0.0.0/8",), "198.51.100.9")])
def test_a_hold_is_counted_by_the_client_and_not_by_its_proxy(
    trusted: tuple[str, ...], key: str
) -> None:
    counted = Counted()
    check = command_check(route_of("placeHold"), counted.limits, TrustedProxies(trusted))
    assert check is not None
    headers = {"X-Forwarded-For": "198.51.100.9"}
    check(ANN, make_mocked_request("POST", "/", headers=headers).clone(remote="10.0.0.1"))
    assert counted.holds == [(ANN.user_id, key)]


def test_other_routes_count_no_hold_and_edges_without_limits_nothing() -> None:
    counted, proxies = Counted(), TrustedProxies(())
    assert command_check(route_of("getHold"), counted.limits, proxies) is None
    assert command_check(route_of("placeHold"), None, proxies) is None
    assert write_count(route_of("createBooking"), None) is None


@pytest.mark.parametrize(
    ("operation", "counts"), [("createBooking", True), ("placeHold", False), ("getBooking", False)]
)
async def test_writes_of_people_are_counted(operation: str, *, counts: bool) -> None:
    counted = Counted()
    count = write_count(route_of(operation), counted.limits)
    assert (count is not None) == counts
    if count is not None:
        await count(ANN)
        assert counted.writes == [ANN.user_id]


def test_every_write_that_needs_a_token_is_counted_once() -> None:
    limits, proxies = Counted().limits, TrustedProxies(())
    for route in ROUTES:
        by = (command_check(route, limits, proxies), write_count(route, limits))
        assert sum(one is not None for one in by) <= 1, msgspec.structs.asdict(route)
