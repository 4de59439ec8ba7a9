"""The cookie in which browsers keep a refresh token, and the check which pages may use it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from multidict import istr

from cinema.domain.rejections import refuse
from cinema.http.connections.request import HttpRequest
from cinema.http.connections.wire import ORIGIN, OWN_REQUEST
from cinema.http.responses import header_lines

COOKIE: Final = istr("Cookie")
HOST: Final = istr("Host")

SECURE_NAME: Final = "__Host-refresh"
"""Browsers accept a cookie with this prefix only over TLS, from this host, and for all paths."""

PLAIN_NAME: Final = "refresh"


class RefreshCookie:
    """Sets, clears and reads the cookie.

    A browser sends a cookie with any request, also with one from another site's page.
    `SameSite=Strict` prevents that. In addition, the page's origin has to be ours or an allowed
    one, and the request needs the header `X-Requested-With`, which a page of another origin cannot
    set without a preflight request. `*` in `allowed_origins` has no effect here.
    """

    def __init__(
        self,
        *,
        secure: bool,
        own_origin: str | None = None,
        allowed_origins: Iterable[str] = (),
    ) -> None:
        """`own_origin` is that of our pages, as browsers write it; None while nobody knows."""
        self._name = SECURE_NAME if secure else PLAIN_NAME
        self._attributes = "; HttpOnly; SameSite=Strict; Path=/" + ("; Secure" if secure else "")
        self._own = own_origin
        self._origins = frozenset(allowed_origins) - {"*"}

    def lines(self, token: str, max_age_s: int) -> bytes:
        """Header lines that make a browser keep the token."""
        return self._set(token, max_age_s)

    def cleared(self) -> bytes:
        """Header lines that make a browser forget the token."""
        return self._set("", 0)

    def read(self, request: HttpRequest) -> str:
        """The token; empty if there is none.

        Refuses ORIGIN_NOT_ALLOWED, CSRF_HEADER_REQUIRED if a foreign page may have sent the
        request.
        """
        token = self._token(request)
        if token:
            origin = request.headers.get(ORIGIN)
            if origin is not None and not self._is_allowed(origin, request):
                raise refuse("ORIGIN_NOT_ALLOWED")
            if OWN_REQUEST not in request.headers:
                raise refuse("CSRF_HEADER_REQUIRED")
        return token

    def _set(self, value: str, max_age_s: int) -> bytes:
        return header_lines(
            set_cookie=f"{self._name}={value}; Max-Age={max_age_s}{self._attributes}"
        )

    def _token(self, request: HttpRequest) -> str:
        for line in request.headers.getall(COOKIE, ()):
            for pair in line.split(";"):
                name, _, value = pair.strip().partition("=")
                if name == self._name:
                    return value
        return ""

    def _is_allowed(self, origin: str, request: HttpRequest) -> bool:
        if origin in self._origins:
            return True
        if self._own is not None:
            return origin == self._own
        # In development `PUBLIC_URL` may be missing; a page cannot choose the Host header.
        return origin.partition("://")[2] == request.headers.get(HOST)
