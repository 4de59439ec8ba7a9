"""Handlers that answer by callback, and requests that are served with them without a task.

In a task, aiohttp spends about 10 of a hold's 42 microseconds on the request's task, objects and
wake-ups. A request that came whole on an idle connection does not need them (ADR 012). It is served
directly from the parser; the actor's answer writes the reply.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter, time
from typing import Any

import structlog

from cinema.domain.rejections import Refused, Rejection
from cinema.http.connections.request import HttpRequest, TasklessRequest
from cinema.http.connections.wire import Finished
from cinema.http.context import Call
from cinema.http.responses import Reply, rejected
from cinema.http.routes import TasklessHandler
from cinema.http.steps import (
    CANCELLED_STATUS,
    INTERNAL,
    REQUEST_CANCELLED,
    REQUEST_FAILED,
    LookUp,
    Steps,
    request_id_of,
)

log = structlog.get_logger()


class TasklessEndpoint:
    """A route's taskless handler with the steps around it."""

    __slots__ = ("ask", "show", "steps")

    def __init__(self, taskless: TasklessHandler, steps: Steps) -> None:
        self.ask = taskless.ask
        self.show = taskless.show
        self.steps = steps


class LateCall:
    """A taskless request whose turn came too late: it is refused unread."""

    __slots__ = ("_refuse", "_request")

    def __init__(self, request: TasklessRequest, refuse: Callable[[HttpRequest], Finished]) -> None:
        self._request = request
        self._refuse = refuse

    def begin(self) -> None:
        """Write the refusal."""
        keep_alive = False
        try:
            keep_alive = bool(self._refuse(self._request).keep_alive)
        finally:
            self._request.connection.taskless_over(keep_alive=keep_alive)

    def give_up(self) -> None:
        """Nothing: it has been counted."""


class TasklessCall(Call):
    """One taskless request: `begin`, then `settle` or `give_up`, whichever comes first.

    Before that `is_admitted` says whether it can be served without a task. None of them raises.
    Each of them ends with `Connection.taskless_over`, except `give_up`.
    """

    __slots__ = ("_endpoint", "_is_over", "_refused", "_started_s", "_subject_id")

    request: TasklessRequest

    def __init__(
        self,
        endpoint: TasklessEndpoint,
        request: TasklessRequest,
        params: tuple[bytes, ...],
        subject_id: str | None,
    ) -> None:
        # As in `Call`, without its call.
        self._started_s = perf_counter()
        self.request = request
        self.request_id = request_id_of(request)
        self.params = params
        self.caller = self.body = self.query = self.request_key = None
        self.raw_body = b""
        self._endpoint = endpoint
        self._subject_id = subject_id
        self._is_over = False
        self._refused: Rejection | None = None

    def is_admitted(self) -> bool:
        """False if the caller is not known yet, which needs a task; nothing is done then."""
        steps = self._endpoint.steps
        try:
            self.caller = steps.admit(self.request)
        except LookUp:
            return False
        except Refused as refusal:
            self._refused = refusal.rejection
        except Exception:
            log.exception(REQUEST_FAILED, request_id=self.request_id, route=steps.path)
            self._refused = INTERNAL
        return True

    def begin(self) -> None:
        """Check the request and send the handler's message."""
        endpoint = self._endpoint
        steps = endpoint.steps
        if self._refused is not None:
            self._end(self._refused)
            return
        try:
            # The body has come whole: there is nothing to await.
            steps.take_input(self)
            endpoint.ask(self, self.settle)
        except Refused as refusal:
            self._end(refusal.rejection)
        except Exception:
            log.exception(REQUEST_FAILED, request_id=self.request_id, route=steps.path)
            self._end(INTERNAL)

    def settle(self, answer: Any) -> None:
        """Write the reply for `answer`; an error must not harm the actor that calls this."""
        endpoint = self._endpoint
        outcome: Reply | Rejection
        try:
            outcome = endpoint.show(answer)
        except Refused as refusal:
            outcome = refusal.rejection
        except Exception:
            log.exception(REQUEST_FAILED, request_id=self.request_id, route=endpoint.steps.path)
            outcome = INTERNAL
        self._end(outcome)

    def give_up(self) -> None:
        """Count the request as cancelled; an answer that still comes is dropped."""
        if not self._is_over:
            self._is_over = True
            self._endpoint.steps.finish(
                self, CANCELLED_STATUS, REQUEST_CANCELLED, self._subject_id, self._started_s
            )

    def _end(self, outcome: Reply | Rejection) -> None:
        if self._is_over:
            return
        self._is_over = True
        steps = self._endpoint.steps
        request = self.request
        request_id = self.request_id
        try:
            reply = outcome
            if not isinstance(reply, Reply):
                reply = rejected(steps.errors, reply, request_id)
        except Exception:
            log.exception(REQUEST_FAILED, request_id=request_id, route=steps.path)
            reply = rejected(steps.errors, INTERNAL, request_id)
        keep_alive = False
        try:
            more = b"" if steps.more_lines is None else steps.more_lines(self.params)
            finished = steps.send(request, reply, request_id, time(), more)
            keep_alive = bool(finished.keep_alive)
            steps.finish(self, reply.status, reply.error_code, self._subject_id, self._started_s)
        finally:
            request.connection.taskless_over(keep_alive=keep_alive)
