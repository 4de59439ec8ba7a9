"""The throttles of the edge: what a route counts before its handler is called."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from cinema.domain.principal import Principal
from cinema.http.connections.proxies import TrustedProxies
from cinema.http.connections.request import HttpRequest, TasklessRequest
from cinema.http.routes import WRITES, Route


class CheckCommand(Protocol):
    """Counts a command. Refuses RATE_LIMITED."""

    def __call__(self, principal: Principal, request: HttpRequest) -> None: ...


CountWrite = Callable[[Principal], Awaitable[None]]


class EdgeLimits(msgspec.Struct, frozen=True):
    """The functions that count for the routes of an edge; each refuses RATE_LIMITED.

    `take_command` receives the caller and the form in which their address is counted.
    """

    count_write: CountWrite
    take_command: Callable[[Principal, str], None]


def command_check(
    route: Route, limits: EdgeLimits | None, proxies: TrustedProxies
) -> CheckCommand | None:
    """The function that counts a command; None for other routes."""
    if limits is None or route.throttle != "commands":
        return None
    check, key_of, is_direct = limits.take_command, proxies.client_key, proxies.are_none

    def check_command(principal: Principal, request: HttpRequest) -> None:
        if is_direct and isinstance(request, TasklessRequest):
            check(principal, request.connection.address_key)
        else:
            check(principal, key_of(request))

    return check_command


def write_count(route: Route, limits: EdgeLimits | None) -> CountWrite | None:
    """The function that counts a write of a signed-in caller; None if the route needs none."""
    is_write = route.method in WRITES and route.auth == "bearer" and route.throttle == "writes"
    if limits is None or not is_write:
        return None
    return limits.count_write
