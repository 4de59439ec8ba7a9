"""Everything around a handler, composed into one coroutine function per route at start-up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter, time
from typing import Final

import msgspec
import structlog
from aiohttp.web import BaseRequest, StreamResponse
from multidict import istr

from cinema.domain.rejections import Refused, Rejection, refuse
from cinema.http.access_log import AccessLog
from cinema.http.body import body_at_hand, check_is_json, read_body
from cinema.http.context import RequestContext
from cinema.http.decoding import checked_idempotency_key, json_decoder, query_decoder
from cinema.http.limits import WRITE_TIMEOUT_S
from cinema.http.metrics import RouteMetrics
from cinema.http.proxies import TrustedProxies
from cinema.http.request_ids import clean_request_id, new_request_id
from cinema.http.responses import Reply, rejected
from cinema.http.routing import Route
from cinema.http.wire import ReplyWriter
from cinema.services.tokens import InvalidToken, Principal

REQUEST_FAILED: Final = "request_failed"
REQUEST_CANCELLED: Final = "CANCELLED"
CANCELLED_STATUS: Final = 499
"""Counted and logged, never sent: the server stopped, or the client left, before the answer."""

AUTHORIZATION: Final = istr("Authorization")
IDEMPOTENCY_KEY: Final = istr("Idempotency-Key")
REQUEST_ID: Final = istr("X-Request-ID")

INTERNAL: Final = Rejection(code="INTERNAL")

Serve = Callable[[BaseRequest, tuple[bytes, ...], str | None], Awaitable[StreamResponse]]
Admit = Callable[[BaseRequest], Principal | None]
TakeInput = Callable[[RequestContext], Awaitable[None] | None]

log = structlog.get_logger()


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What all endpoints of a server share."""

    writer: ReplyWriter
    access_log: AccessLog
    verify_token: Callable[[str], Principal]
    proxies: TrustedProxies
    require_https: bool
    body_limit_bytes: int
    request_timeout_s: float


def compose(route: Route, around: Surroundings, metrics: RouteMetrics) -> Serve:
    """The whole way of a request of `route`, from the parsed head to the written reply.

    Steps, in the order of precedence of their refusals: https, token, role, media type and size
    of the body, JSON, form, idempotency key, query; then the handler.
    """
    handler = route.handler
    admit = _gate(route, around)
    take_input = _input(route, around)
    send = around.writer.send
    finish = _finisher(route, around, metrics)

    async def serve(
        request: BaseRequest, params: tuple[bytes, ...], showtime_id: str | None
    ) -> StreamResponse:
        started_s = perf_counter()
        given_id = request.headers.get(REQUEST_ID)
        request_id = new_request_id() if given_id is None else clean_request_id(given_id)
        context = RequestContext(request, request_id, params)
        try:
            context.caller = admit(request)
            still_arriving = take_input(context)
            if still_arriving is not None:
                await still_arriving
            outcome = await handler(context)
        except Refused as refusal:
            outcome = refusal.rejection
        except asyncio.CancelledError:
            finish(context, CANCELLED_STATUS, REQUEST_CANCELLED, showtime_id, started_s)
            raise
        except Exception:
            log.exception(REQUEST_FAILED, request_id=request_id, route=route.path)
            outcome = INTERNAL
        # StreamResponse is an abstract collection, whose instance check is slow: it comes last.
        if isinstance(outcome, Reply):
            reply = outcome
        elif isinstance(outcome, Rejection):
            reply = rejected(outcome, request_id)
        else:
            finish(context, outcome.status, None, showtime_id, started_s)
            return outcome
        finished = send(request, reply, request_id, time())
        finish(context, reply.status, reply.error_code, showtime_id, started_s)
        if request.protocol.writing_paused:
            await _drain(request)
        return finished

    return serve


def _input(route: Route, around: Surroundings) -> TakeInput:
    """What reads body, idempotency key and query into the context.

    It returns None when that is done, or what to await when the body has not come yet.
    """
    decode_body = json_decoder(route.request) if route.request not in {None, bytes} else None
    decode_query = None if route.query is None else query_decoder(route.query)
    takes_body = route.request is not None
    takes_key = route.idempotent
    limit_bytes = around.body_limit_bytes
    timeout_s = around.request_timeout_s

    def take(context: RequestContext) -> Awaitable[None] | None:
        request = context.request
        if takes_body:
            if decode_body is not None:
                check_is_json(request)
            raw_body = body_at_hand(request, limit_bytes)
            if raw_body is None:
                return take_late(context)
            context.raw_body = raw_body
        take_rest(context)
        return None

    async def take_late(context: RequestContext) -> None:
        context.raw_body = await read_body(context.request, limit_bytes, timeout_s)
        take_rest(context)

    def take_rest(context: RequestContext) -> None:
        if decode_body is not None:
            context.body = decode_body(context.raw_body)
        if takes_key:
            key = context.request.headers.get(IDEMPOTENCY_KEY)
            if key is not None:
                context.idempotency_key = checked_idempotency_key(key)
        if decode_query is not None:
            context.query = decode_query(context.request.query_string)

    return take


def _gate(route: Route, around: Surroundings) -> Admit:
    """The check whether a request may go on: https, token, role, in this order."""
    verify = around.verify_token
    roles = route.roles
    required = route.auth == "bearer"

    def identify(request: BaseRequest) -> Principal | None:
        credentials = request.headers.get(AUTHORIZATION)
        if credentials is None:
            if required:
                raise refuse("UNAUTHENTICATED")
            return None
        # The usual spelling first; the scheme's case is free.
        if credentials[:7] != "Bearer " and credentials[:7].lower() != "bearer ":
            raise refuse("UNAUTHENTICATED", reason="NO_BEARER_TOKEN")
        try:
            principal = verify(credentials[7:])
        except InvalidToken as invalid:
            raise refuse("UNAUTHENTICATED", reason=invalid.code) from None
        if roles and principal.role not in roles:
            raise refuse("FORBIDDEN")
        return principal

    check = _nobody if route.auth == "none" else identify
    if not around.require_https or route.over_http:
        return check
    is_https = around.proxies.is_https

    def check_over_https(request: BaseRequest) -> Principal | None:
        if not is_https(request):
            raise refuse("HTTPS_REQUIRED")
        return check(request)

    return check_over_https


def _nobody(_: BaseRequest) -> None:
    """Public routes do not look at credentials."""


def _finisher(
    route: Route, around: Surroundings, metrics: RouteMetrics
) -> Callable[[RequestContext, int, str | None, str | None, float], None]:
    """What counts and logs a finished request; a socket's length says nothing about speed."""
    record = around.access_log.record
    path, is_socket = route.path, route.websocket
    observe = metrics.observe

    def finish(
        context: RequestContext,
        status: int,
        error_code: str | None,
        showtime_id: str | None,
        started_s: float,
    ) -> None:
        duration_us = int((perf_counter() - started_s) * 1e6)
        if is_socket:
            metrics.count(status, error_code)
        else:
            observe(status, duration_us, error_code)
        caller = context.caller
        record(
            time(),
            context.request_id,
            context.request.method,
            path,
            status,
            duration_us,
            None if caller is None else caller.user_id,
            error_code,
            showtime_id,
        )

    return finish


async def _drain(request: BaseRequest) -> None:
    """Wait for a client that reads slowly, within a bound."""
    try:
        async with asyncio.timeout(WRITE_TIMEOUT_S):
            await request.writer.drain()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
