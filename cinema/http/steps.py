"""The steps around every handler: permissions, the request's content, counters and the log line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from time import perf_counter, time
from typing import Final

import msgspec
from multidict import istr

from cinema.domain.idempotency import ANONYMOUS, IdempotencyKey, idempotency_key
from cinema.domain.principal import INVALID_TOKEN, InvalidToken, Principal
from cinema.domain.rejections import Refused, Rejection, refuse
from cinema.http.connections.body import (
    IDEMPOTENCY_KEY,
    body_at_hand,
    check_is_json,
    has_body,
    read_body,
)
from cinema.http.connections.proxies import TrustedProxies
from cinema.http.connections.request import HttpRequest
from cinema.http.connections.upload import Upload, Uploads
from cinema.http.connections.wire import ReplyWriter
from cinema.http.context import Call
from cinema.http.decoding import checked_idempotency_key, json_decoder, query_decoder
from cinema.http.errors import ErrorTable
from cinema.http.owned import Owned, OwnerOf
from cinema.http.request_ids import clean_request_id, new_request_id
from cinema.http.routes import Route
from cinema.http.throttling import CountWrite, EdgeLimits, command_check, write_count
from cinema.telemetry.access_log import AccessLog
from cinema.telemetry.metrics import RouteMetrics

REQUEST_FAILED: Final = "request_failed"
REQUEST_CANCELLED: Final = "CANCELLED"
CANCELLED_STATUS: Final = 499
"""A status that is counted and logged, never sent: the answer came too late to be sent."""

AUTHORIZATION: Final = istr("Authorization")
DEVICE_TOKEN: Final = istr("Device-Token")
"""The token of a scanner: another header than that of people, at which other routes do not look."""

LINK_TOKEN: Final = istr("Link-Token")
"""The secret of a link; it is in a header, because others log the addresses of requests."""

REQUEST_ID: Final = istr("X-Request-ID")
INTERNAL: Final = Rejection(code="INTERNAL")
UNAUTHENTICATED: Final = "UNAUTHENTICATED"

Admit = Callable[[HttpRequest], Principal | None]
"""The caller; raises `LookUp` for a token that has to be looked up first."""

TakeInput = Callable[[Call], Awaitable[None] | None]
AdmitLate = Callable[[Call], Awaitable[None]]
"""Whether the caller from a request's head may still act when its body has come."""

Finish = Callable[[Call, int, str | None, str | None, float], None]


class LookUp(Exception):
    """The token is not known here yet: `identify` asks the database, and refuses as `admit` does.

    Only the first request with a token needs this; later ones do not wait.
    """

    def __init__(self, identify: Callable[[], Awaitable[Principal | None]]) -> None:
        super().__init__("the token has to be looked up")
        self.identify = identify


class EdgeParts(msgspec.Struct, frozen=True, kw_only=True):
    """What all endpoints of a server share."""

    errors: ErrorTable
    writer: ReplyWriter
    access_log: AccessLog
    verify_token: Callable[[str], Principal | None]
    look_up_token: Callable[[str], Awaitable[Principal]] | None = None
    proxies: TrustedProxies
    require_https: bool
    body_limit_bytes: int
    request_timeout_s: float
    owned: Owned | None = None
    owner_of: OwnerOf | None = None
    limits: EdgeLimits | None = None
    uploads: Uploads
    verify_signed: Callable[[HttpRequest, str], Principal] | None = None
    check_body: Callable[[HttpRequest, bytes], None] | None = None
    """For the control endpoint, where calls may be signed instead of having a token."""


class Steps:
    """What is done around the handler of one route, in the order of precedence of its refusals.

    https, token, role, commands (`admit`); other writes (`count_write`); media type and
    size of the body, JSON, form, idempotency key, query (`take_input`); token and role again if the
    body came later (`admit_late`); then the handler, and at the end count and log line (`finish`).
    """

    __slots__ = (
        "admit",
        "admit_late",
        "count_write",
        "errors",
        "finish",
        "more_lines",
        "path",
        "send",
        "take_input",
    )

    def __init__(self, route: Route, around: EdgeParts, metrics: RouteMetrics) -> None:
        self.path = route.path
        self.errors = around.errors
        self.admit = _gate(route, around)
        self.admit_late = _late_gate(route, around)
        self.count_write: CountWrite | None = write_count(route, around.limits)
        self.take_input = _input(route, around)
        self.send = around.writer.send
        self.more_lines = _more_lines(route, around.owned, around.owner_of)
        self.finish = _finisher(route, around, metrics)


def _more_lines(
    route: Route, owned: Owned | None, owner_of: OwnerOf | None
) -> Callable[[tuple[bytes, ...]], bytes] | None:
    """Makes the header lines of all answers of a route; None if it needs none.

    The owner, if nodes own what the route is about; and that the route is deprecated.
    """
    always = b"" if route.deprecation is None else route.deprecation.lines()
    if owned is None or owner_of is None or not route.path.startswith(owned.path):
        return (lambda _params: always) if always else None
    lines: dict[str | None, bytes] = {None: always}

    def line(params: tuple[bytes, ...]) -> bytes:
        owner = owner_of(params[0])
        known = lines.get(owner)
        if known is None:
            known = lines[owner] = f"{owned.header}: {owner}\r\n".encode() + always
        return known

    return line


def request_id_of(request: HttpRequest) -> str:
    """The id of a request: the client's if it gave a harmless one."""
    given = request.headers.get(REQUEST_ID)
    return new_request_id() if given is None else clean_request_id(given)


def _input(route: Route, around: EdgeParts) -> TakeInput:
    """Makes the step that reads body, idempotency key and query into the call.

    The step returns None when it is done, or an awaitable if the body has not come yet.
    """
    if route.request is Upload:
        return _upload_input(route, around)
    takes_body = route.request is not None
    takes_json = takes_body and route.request is not bytes
    is_optional = route.body_optional
    take_rest = _decoding(route, around)
    limit_bytes = around.body_limit_bytes
    timeout_s = around.request_timeout_s

    def take(call: Call) -> Awaitable[None] | None:
        request = call.request
        if is_optional and not has_body(request):
            call.raw_body = b"{}"
        elif takes_body:
            if takes_json:
                check_is_json(request)
            raw_body = body_at_hand(request, limit_bytes)
            if raw_body is None:
                return take_late(call)
            call.raw_body = raw_body
        take_rest(call)
        return None

    async def take_late(call: Call) -> None:
        call.raw_body = await read_body(call.request, limit_bytes, timeout_s)
        take_rest(call)

    return take


def _upload_input(route: Route, around: EdgeParts) -> TakeInput:
    """The same for a form with a file, which is always waited for."""
    take_rest = _decoding(route, around)
    read = around.uploads.read

    async def take(call: Call) -> None:
        call.body, call.raw_body = await read(call.request)
        take_rest(call)

    return take


def _decoding(route: Route, around: EdgeParts) -> Callable[[Call], None]:
    """Makes the step that decodes a body, and names the request by its idempotency key."""
    is_json = route.request not in {None, bytes, Upload}
    decode_body = json_decoder(route.request) if is_json else None
    decode_query = None if route.query is None else query_decoder(route.query)
    takes_key = route.idempotent
    check_body = around.check_body
    operation = route.operation_id

    def take_rest(call: Call) -> None:
        if decode_body is not None:
            if check_body is not None:
                check_body(call.request, call.raw_body)
            call.body = decode_body(call.raw_body)
        key = None
        if takes_key:
            key = call.request.headers.get(IDEMPOTENCY_KEY)
            if key is not None:
                checked_idempotency_key(key)
        if decode_query is not None:
            call.query = decode_query(call.request.query_string)
        if key is not None:
            call.request_key = _named(call, operation, key)

    return take_rest


def _named(call: Call, operation: str, key: str) -> IdempotencyKey:
    """The name of a request by its decoded content: the client's spelling does not count."""
    caller = ANONYMOUS if call.caller is None else call.caller.user_id
    return idempotency_key(caller, operation, call.params, key, call.body, call.query)


def _gate(route: Route, around: EdgeParts) -> Admit:
    """Makes the check whether a request may go on: https, token, role, rate, in order."""
    verify = around.verify_token
    verify_signed = around.verify_signed
    roles = route.admitted
    required = route.auth in {"bearer", "device"}
    check_command = command_check(route, around.limits, around.proxies)

    def identify(request: HttpRequest) -> Principal | None:
        credentials = request.headers.get(AUTHORIZATION)
        if credentials is None:
            if required:
                raise refuse(UNAUTHENTICATED)
            return None
        # The usual spelling first; the scheme's case is free.
        if credentials[:7] != "Bearer " and credentials[:7].lower() != "bearer ":
            if verify_signed is None:
                raise refuse(UNAUTHENTICATED, reason="NO_BEARER_TOKEN")
            return _checked(verify_signed, request, credentials)
        token = credentials[7:]
        try:
            principal = verify(token)
        except InvalidToken as invalid:
            raise refuse(UNAUTHENTICATED, reason=invalid.code) from None
        if principal is None:
            then = None if check_command is None else partial(check_command, request=request)
            raise LookUp(partial(_identify_unknown, token, around.look_up_token, roles, then))
        if roles and principal.role not in roles:
            raise refuse("FORBIDDEN")
        if check_command is not None:
            check_command(principal, request)
        return principal

    check = _for_others(route, identify)
    if not around.require_https or route.over_http:
        return check
    return _over_https(check, around.proxies)


def _late_gate(route: Route, around: EdgeParts) -> AdmitLate:
    """Makes the check after a wait for the body, because the token may be revoked meanwhile."""
    verify, look_up, roles = around.verify_token, around.look_up_token, route.admitted
    is_lenient = route.auth == "lenient"

    async def admit_late(call: Call) -> None:
        credentials = call.request.headers.get(AUTHORIZATION, "")
        if call.caller is None or credentials[:7].lower() != "bearer ":
            # No caller, or a signature: that is valid once and for this body, so it was checked.
            return
        try:
            call.caller = await identified(credentials[7:])
        except Refused as refused:
            if not (is_lenient and refused.rejection.code == UNAUTHENTICATED):
                raise
            call.caller = None

    async def identified(token: str) -> Principal:
        try:
            principal = verify(token)
        except InvalidToken as invalid:
            raise refuse(UNAUTHENTICATED, reason=invalid.code) from None
        if principal is None:
            principal = await _identify_unknown(token, look_up, roles, None)
        return principal

    return admit_late


def _for_others(route: Route, identify: Admit) -> Admit:
    """The check of a route that does not always need the token of an account."""
    check = _WITHOUT_TOKENS.get(route.auth, identify)
    if route.auth == "lenient":
        return _leniently(check)
    return _unless_device(check) if route.auth == "device" else check


def _leniently(check: Admit) -> Admit:
    """The same check, except that a token that is not valid is as good as none."""

    def check_leniently(request: HttpRequest) -> Principal | None:
        try:
            return check(request)
        except LookUp as unknown:
            raise LookUp(partial(_unless_invalid, unknown.identify)) from None
        except Refused as refused:
            if refused.rejection.code != UNAUTHENTICATED:
                raise
            return None

    return check_leniently


def _unless_device(check: Admit) -> Admit:
    """The same check, except for a request with the token of a device, which the handler checks."""

    def check_people(request: HttpRequest) -> Principal | None:
        return None if DEVICE_TOKEN in request.headers else check(request)

    return check_people


async def _unless_invalid(
    identify: Callable[[], Awaitable[Principal | None]],
) -> Principal | None:
    try:
        return await identify()
    except Refused as refused:
        if refused.rejection.code != UNAUTHENTICATED:
            raise
        return None


def _over_https(check: Admit, proxies: TrustedProxies) -> Admit:
    is_https = proxies.is_https

    def check_over_https(request: HttpRequest) -> Principal | None:
        if not is_https(request):
            raise refuse("HTTPS_REQUIRED")
        return check(request)

    return check_over_https


def _checked(
    verify_signed: Callable[[HttpRequest, str], Principal], request: HttpRequest, credentials: str
) -> Principal:
    """The holder of a request's signature."""
    try:
        return verify_signed(request, credentials)
    except InvalidToken as invalid:
        raise refuse(UNAUTHENTICATED, reason=invalid.code) from None


async def _identify_unknown(
    token: str,
    look_up: Callable[[str], Awaitable[Principal]] | None,
    roles: frozenset[str],
    then: Callable[[Principal], None] | None,
) -> Principal:
    """The caller of a token that is not known here yet; see `_gate`."""
    if look_up is None:
        raise refuse(UNAUTHENTICATED, reason=INVALID_TOKEN)
    try:
        principal = await look_up(token)
    except InvalidToken as invalid:
        raise refuse(UNAUTHENTICATED, reason=invalid.code) from None
    if roles and principal.role not in roles:
        raise refuse("FORBIDDEN")
    if then is not None:
        then(principal)
    return principal


def _nobody(_: HttpRequest) -> None:
    """Public routes do not look at credentials."""


def _with_link(request: HttpRequest) -> None:
    """The header must be there; the handler checks the secret."""
    if LINK_TOKEN not in request.headers:
        raise refuse(UNAUTHENTICATED, reason="NO_LINK_TOKEN")


_WITHOUT_TOKENS: Final[dict[str, Admit]] = {"none": _nobody, "link": _with_link}


def _finisher(
    route: Route, around: EdgeParts, metrics: RouteMetrics
) -> Callable[[Call, int, str | None, str | None, float], None]:
    """Makes the step that counts and logs a finished request; durations of sockets do not count."""
    record = around.access_log.record
    path, is_socket = route.path, route.websocket
    observe = metrics.observe

    def finish(
        call: Call,
        status: int,
        error_code: str | None,
        subject_id: str | None,
        started_s: float,
    ) -> None:
        duration_us = int((perf_counter() - started_s) * 1e6)
        if is_socket:
            metrics.count(status, error_code)
        else:
            observe(status, duration_us, error_code)
        caller = call.caller
        record(
            time(),
            call.request_id,
            call.request.method,
            path,
            status,
            duration_us,
            None if caller is None else caller.user_id,
            error_code,
            subject_id,
        )

    return finish
