"""What a handler receives: one request after routing, authentication and validation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from aiohttp.web import BaseRequest

    from cinema.domain.idempotency import IdempotencyKey
    from cinema.domain.principal import Principal
    from cinema.http.connections.request import HttpRequest


class Call:
    """One request, with what the route has asked for.

    `params` are the path's ids in order, raw (16 bytes; a `:text` segment as UTF-8). `body` and
    `query` are instances of the types the route declares, else None. `raw_body` is what was sent.
    `request_key` names the request under the client's `Idempotency-Key`, None without one.
    """

    __slots__ = (
        "body",
        "caller",
        "params",
        "query",
        "raw_body",
        "request",
        "request_id",
        "request_key",
    )

    def __init__(
        self,
        request: HttpRequest,
        request_id: str,
        params: tuple[bytes, ...],
        caller: Principal | None = None,
        body: Any = None,
        raw_body: bytes = b"",
        query: Any = None,
        request_key: IdempotencyKey | None = None,
    ) -> None:
        self.request = request
        self.request_id = request_id
        self.params = params
        self.caller = caller
        self.body = body
        self.raw_body = raw_body
        self.query = query
        self.request_key = request_key

    @property
    def principal(self) -> Principal:
        """The caller; only on routes that require a token (for others see `caller`)."""
        if self.caller is None:
            raise LookupError("this route does not require a token")
        return self.caller


class RequestContext(Call):
    """A call in a task of its own, which may use everything that aiohttp knows of its request."""

    __slots__ = ()

    request: BaseRequest

    @property
    def ids(self) -> tuple[UUID, ...]:
        """The path's ids, in order; for paths without `:text`."""
        return tuple(UUID(bytes=raw) for raw in self.params)
