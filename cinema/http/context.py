"""What a handler is given: one request after routing, authentication and validation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cinema.domain.idempotency import ANONYMOUS, idempotency_key

if TYPE_CHECKING:
    from aiohttp.web import BaseRequest

    from cinema.domain.idempotency import IdempotencyKey
    from cinema.http.request import Asked
    from cinema.services.tokens import Principal


class Call:
    """One request, as far as the route asked for it.

    `params` are the path's ids in order, raw (16 bytes; a `:text` segment as UTF-8). `body` and
    `query` are instances of the types the route declares, else None. `raw_body` is what was sent.
    """

    __slots__ = (
        "body",
        "caller",
        "idempotency_key",
        "params",
        "query",
        "raw_body",
        "request",
        "request_id",
    )

    def __init__(
        self,
        request: Asked,
        request_id: str,
        params: tuple[bytes, ...],
        caller: Principal | None = None,
        body: Any = None,
        raw_body: bytes = b"",
        query: Any = None,
        idempotency_key: str | None = None,
    ) -> None:
        self.request = request
        self.request_id = request_id
        self.params = params
        self.caller = caller
        self.body = body
        self.raw_body = raw_body
        self.query = query
        self.idempotency_key = idempotency_key

    @property
    def request_key(self) -> IdempotencyKey | None:
        """The name of this request under the client's `Idempotency-Key`, None without one.

        Scoped to caller, method and path; the query counts as part of the request.
        """
        if self.idempotency_key is None:
            return None
        request = self.request
        path, _, query = request.raw_path.partition("?")
        return idempotency_key(
            ANONYMOUS if self.caller is None else self.caller.user_id,
            f"{request.method} {path}",
            self.idempotency_key,
            self.raw_body if not query else self.raw_body + b"?" + query.encode(errors="replace"),
        )

    @property
    def principal(self) -> Principal:
        """Who is calling; only on routes that ask for a token (else look at `caller`)."""
        if self.caller is None:
            raise LookupError("this route does not require a token")
        return self.caller


class RequestContext(Call):
    """A call served in a task of its own, which may use all that aiohttp knows of its request."""

    __slots__ = ()

    request: BaseRequest
