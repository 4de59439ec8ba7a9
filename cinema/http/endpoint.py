"""Puts everything around a handler together, once for each route, for both ways to serve it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from time import perf_counter, time
from typing import Final

import msgspec
import structlog
from aiohttp.web import BaseRequest, StreamResponse

from cinema.domain.rejections import Refused, Rejection
from cinema.http.context import RequestContext
from cinema.http.limits import STREAM_WRITE_BYTES, WRITE_TIMEOUT_S
from cinema.http.responses import Reply, Streamed, rejected
from cinema.http.routes import Handler, Route, TasklessHandler
from cinema.http.steps import (
    CANCELLED_STATUS,
    INTERNAL,
    REQUEST_CANCELLED,
    REQUEST_FAILED,
    EdgeParts,
    LookUp,
    Steps,
    request_id_of,
)
from cinema.http.taskless import TasklessEndpoint
from cinema.telemetry.metrics import RouteMetrics

STREAM_CUT: Final = "stream_cut"

Serve = Callable[[BaseRequest, tuple[bytes, ...], str | None], Awaitable[StreamResponse]]

log = structlog.get_logger()


class Endpoint(msgspec.Struct, frozen=True):
    """The ways to serve a route: any request in a task, the usual ones without one if it can."""

    serve: Serve
    taskless: TasklessEndpoint | None


def compose(route: Route, around: EdgeParts, metrics: RouteMetrics) -> Endpoint:
    """The whole way of a request of `route`, from the parsed head to the written reply."""
    steps = Steps(route, around, metrics)
    handler = route.handler
    if isinstance(handler, TasklessHandler):
        return Endpoint(_in_a_task(_awaited(handler), steps), TasklessEndpoint(handler, steps))
    return Endpoint(_in_a_task(handler, steps), None)


def _awaited(taskless: TasklessHandler) -> Handler:
    """A taskless handler as a coroutine, for requests that come in an unusual way."""

    async def handle(context: RequestContext) -> Reply:
        answer = asyncio.get_running_loop().create_future()

        def settle(outcome: object) -> None:
            if not answer.done():
                answer.set_result(outcome)

        taskless.ask(context, settle)
        shown = taskless.show(await answer)
        if isinstance(shown, Rejection):
            raise Refused(shown)
        return shown

    return handle


def _in_a_task(handler: Handler, steps: Steps) -> Serve:
    admit, take_input, send, finish = steps.admit, steps.take_input, steps.send, steps.finish
    path, more_lines, count_write = steps.path, steps.more_lines, steps.count_write
    admit_late, errors = steps.admit_late, steps.errors

    async def serve(
        request: BaseRequest, params: tuple[bytes, ...], subject_id: str | None
    ) -> StreamResponse:
        started_s = perf_counter()
        request_id = request_id_of(request)
        context = RequestContext(request, request_id, params)
        outcome: Reply | Rejection | StreamResponse
        try:
            try:
                context.caller = admit(request)
            except LookUp as unknown:
                context.caller = await unknown.identify()
            if count_write is not None and context.caller is not None:
                await count_write(context.caller)
            still_arriving = take_input(context)
            if still_arriving is not None:
                await still_arriving
                await admit_late(context)
            outcome = await handler(context)
        except Refused as refusal:
            outcome = refusal.rejection
        except asyncio.CancelledError:
            finish(context, CANCELLED_STATUS, REQUEST_CANCELLED, subject_id, started_s)
            raise
        except Exception:
            log.exception(REQUEST_FAILED, request_id=request_id, route=path)
            outcome = INTERNAL
        # StreamResponse is an abstract collection, whose instance check is slow: it comes last.
        if isinstance(outcome, Reply):
            reply = outcome
        elif isinstance(outcome, Rejection):
            reply = rejected(errors, outcome, request_id)
        else:
            finish(context, outcome.status, None, subject_id, started_s)
            return outcome
        if type(reply) is Streamed:
            # How long a client takes to read it says nothing about our speed.
            finish(context, reply.status, None, subject_id, started_s)
            return await _streamed(request, reply, request_id, steps)
        more = b"" if more_lines is None else more_lines(params)
        finished = send(request, reply, request_id, time(), more)
        finish(context, reply.status, reply.error_code, subject_id, started_s)
        if request.protocol.writing_paused:
            await _drain(request)
        return finished

    return serve


async def _streamed(
    request: BaseRequest, reply: Streamed, request_id: str, steps: Steps
) -> StreamResponse:
    """Send an answer whose body is made meanwhile, as fast as it is read."""
    finished = steps.send(request, reply, request_id, time(), size_bytes=reply.size_bytes)
    reason = ""
    async with aclosing(reply.pieces) as pieces:
        if request.method == "HEAD":
            return finished
        left = reply.size_bytes
        try:
            async for piece in pieces:
                left -= len(piece)
                if not await _written(request, piece):
                    reason = "the client left, or read too slowly"
                    break
        except Refused as refusal:
            reason = refusal.rejection.code
        except Exception as error:
            log.exception(REQUEST_FAILED, request_id=request_id, route=steps.path)
            reason = repr(error)
    if reason or left:
        log.warning(
            STREAM_CUT, request_id=request_id, route=steps.path, reason=reason or "too short"
        )
        if request.transport is not None:
            request.transport.abort()
    return finished


async def _written(request: BaseRequest, piece: bytes) -> bool:
    """Send part of a body; False if the client has left or reads too slowly."""
    transport = request.transport
    for start in range(0, len(piece), STREAM_WRITE_BYTES):
        if transport is None or transport.is_closing():
            return False
        transport.write(piece[start : start + STREAM_WRITE_BYTES])
        if request.protocol.writing_paused:
            await _drain(request)
    return True


async def _drain(request: BaseRequest) -> None:
    """Wait for a client that reads slowly, within a bound; a client that leaves is not an error."""
    try:
        async with asyncio.timeout(WRITE_TIMEOUT_S):
            await request.writer.drain()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
    except ConnectionError:
        return
