"""Signed calls to a control endpoint, with the standard library only."""

from __future__ import annotations

import json
import secrets
import ssl
import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msgspec

from cinema.cli.admin.failures import UNREACHABLE, Failure, refused, unreachable
from cinema.domain.control_signatures import (
    NONCE_BYTES,
    PROOF_HEADER,
    Called,
    answer_mac,
    credentials_for,
    same,
)

BASE: Final = "/control/v1"
TIMEOUT_S: Final = 15.0
"""How long the server may take; longer than it waits for another node."""

ATTEMPTS: Final = 3
"""How often a call is made if the answer is 503; each call is safe to repeat."""

PAUSE_LIMIT_S: Final = 5
"""The longest `Retry-After` that the client waits."""

BODY_LIMIT_BYTES: Final = 64 << 20
"""The longest answer that is read; a seat map of 50,000 seats is a tenth of it."""


class ControlReply(msgspec.Struct, frozen=True):
    """The answer of a successful call; only lists have `meta`."""

    data: Any
    meta: dict[str, Any] | None = None


class ControlClient:
    """One control endpoint and the token for it; each call is a connection of its own.

    The token is not sent. It signs calls, and only answers signed with it are trusted, so a foreign
    program at the address learns nothing. `operator` is the name for the server's log. Every
    method raises `Failure`.
    """

    def __init__(self, url: str, token: str, *, operator: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise unreachable(url, "it is not an http:// or https:// address")
        self.url = url.rstrip("/")
        self._parts = parts
        self._token = token
        self._operator = operator

    def get(self, path: str, **query: Any) -> ControlReply:
        """Get a path below `/control/v1`; parameters that are None are left out."""
        given = {name: _text(value) for name, value in query.items() if value is not None}
        return self._call("GET", f"{path}?{urlencode(given)}" if given else path)

    def post(self, path: str, body: Any = None, *, key: str | None = None) -> ControlReply:
        """Post to a path; `key` makes the call safe to repeat."""
        return self._call("POST", path, body, key)

    def put(self, path: str, body: Any) -> ControlReply:
        """Put a value."""
        return self._call("PUT", path, body)

    def pages(self, path: str, limit: int, page: int, **query: Any) -> ControlReply:
        """Up to `limit` items of a list, from as many pages as necessary."""
        items: list[Any] = []
        meta: dict[str, Any] = {}
        for reply in self._pages(path, page, limit, query):
            items += reply.data
            meta = reply.meta or {}
            if len(items) >= limit:
                break
        return ControlReply(items[:limit], meta)

    def _pages(
        self, path: str, page: int, limit: int, query: Mapping[str, Any]
    ) -> Iterator[ControlReply]:
        cursor = None
        while True:
            reply = self.get(path, limit=min(page, limit), cursor=cursor, **query)
            yield reply
            cursor = (reply.meta or {}).get("next_cursor")
            if cursor is None:
                return

    def _call(
        self, method: str, path: str, body: Any = None, key: str | None = None
    ) -> ControlReply:
        for _ in range(ATTEMPTS - 1):
            status, headers, answer = self._once(method, path, body, key)
            if status != 503:
                break
            time.sleep(min(int(headers.get("Retry-After", "1")), PAUSE_LIMIT_S))
        else:
            status, headers, answer = self._once(method, path, body, key)
        if answer.get("success") is True:
            return ControlReply(answer["data"], answer.get("meta"))
        error = answer["error"]
        raise refused(status, error["code"], error["message"], error["details"])

    def _once(
        self, method: str, path: str, body: Any, key: str | None
    ) -> tuple[int, Mapping[str, str], dict[str, Any]]:
        payload = b"" if body is None else json.dumps(body).encode()
        target = f"{BASE}{path}"
        called = Called(method, target, key or "", self._operator)
        nonce = secrets.token_hex(NONCE_BYTES)
        credentials = credentials_for(self._token, called, payload, time.time(), nonce)
        headers = {
            "Authorization": credentials,
            "Accept": "application/json",
            "Cinema-Operator": self._operator,
        }
        if body is not None:
            headers["Content-Type"] = "application/json"
        if key is not None:
            headers["Idempotency-Key"] = key
        connection = self._connection()
        try:
            connection.request(
                method, f"{self._parts.path.rstrip('/')}{target}", payload or None, headers
            )
            response = connection.getresponse()
            answer = response.read(BODY_LIMIT_BYTES)
        except (OSError, HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise unreachable(self.url, reason) from error
        finally:
            connection.close()
        self._check_proof(response, nonce, answer)
        return response.status, dict(response.getheaders()), self._envelope(answer)

    def _check_proof(self, response: HTTPResponse, nonce: str, answer: bytes) -> None:
        """Raise `Failure` unless the answering server has the token."""
        wanted = answer_mac(self._token, nonce, response.status, answer)
        if same(response.getheader(PROOF_HEADER, ""), wanted):
            return
        if response.status == HTTPStatus.UNAUTHORIZED:
            raise refused(response.status, "UNAUTHENTICATED", "", {})
        raise self._stranger()

    def _connection(self) -> HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            context = ssl.create_default_context()
            return HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)
        return HTTPConnection(host, port, timeout=TIMEOUT_S)

    def _envelope(self, raw: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(raw)
            if answer["success"] is True:
                answer["data"]
            else:
                error = answer["error"]
                error["code"], error["message"], error["details"]
        except (ValueError, LookupError, TypeError) as error:
            raise self._stranger() from error
        assert isinstance(answer, dict)
        return answer

    def _stranger(self) -> Failure:
        told = f"Something else than a control endpoint with this token answers at {self.url}."
        return Failure("UNREACHABLE", told, UNREACHABLE)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
