"""The cookie in which browsers keep a refresh token, and whose pages may have it sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from multidict import istr

from cinema.domain.rejections import refuse
from cinema.http.connections.request import HttpRequest
from cinema.http.connections.wire import ORIGIN, OWN_REQUEST
from cinema.http.responses import header_lines

COOKIE: Final = istr("Cookie")
HOST: Final = istr("Host")

SECURE_NAME: Final = "__Host-refresh"
"""Browsers take a cookie of this prefix over TLS only, from this host only, for all its paths."""

PLAIN_NAME: Final = "refresh"


class RefreshCookie:
    """Sets, clears and reads the cookie.

    A browser sends a cookie with any request, also with one that another site's page has made.
    `SameSite=Strict` keeps it out of those; besides, the page's origin has to be ours or an
    allowed one, and the request needs the header `X-Requested-With`, which no page of another
    origin can set without having asked first. `*` among `allowed_origins` counts for nobody here.
    """

    def __init__(
        self, *, secure: bool, public_url: str = "", allowed_origins: Iterable[str] = ()
    ) -> None:
        self._name = SECURE_NAME if secure else PLAIN_NAME
        self._attributes = "; HttpOnly; SameSite=Strict; Path=/" + ("; Secure" if secure else "")
        parts = urlsplit(public_url)
        self._own = f"{parts.scheme}://{parts.netloc}".lower() if public_url else None
        self._origins = frozenset(allowed_origins) - {"*"}

    def lines(self, token: str, max_age_s: int) -> bytes:
        """Header lines that have a browser keep the token."""
        return self._set(token, max_age_s)

    def cleared(self) -> bytes:
        """Header lines that have a browser forget it."""
        return self._set("", 0)

    def read(self, request: HttpRequest) -> str:
        """The token, empty without one.

        Refuses ORIGIN_NOT_ALLOWED, CSRF_HEADER_REQUIRED where a page of somebody else may ask.
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
        # While developing nobody says where we are; a page cannot choose what Host says.
        return origin.partition("://")[2] == request.headers.get(HOST)
