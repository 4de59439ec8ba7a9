"""What the routes of signing in share: where a request came from, and how refresh tokens travel."""

from __future__ import annotations

from functools import partial
from typing import Final

import msgspec
from multidict import istr

from cinema.domain.limits_catalog import USER_AGENT_CHARS
from cinema.domain.rejections import refuse
from cinema.features.accounts.refresh_cookie import RefreshCookie
from cinema.features.accounts.shapes import Authenticated, Client, SignedIn
from cinema.http.connections.connection import has_hung_up
from cinema.http.connections.proxies import TrustedProxies
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success

USER_AGENT: Final = istr("User-Agent")

COOKIE_ERRORS: Final = ("ORIGIN_NOT_ALLOWED", "CSRF_HEADER_REQUIRED")
"""Errors of requests whose refresh token is in a cookie."""


class FrontDoor:
    """Reads and answers requests that carry a refresh token, in a cookie or in the body.

    A token goes out the way it came in. Otherwise a script in our page, which cannot read the
    cookie, could ask for its content in a body.
    """

    def __init__(self, proxies: TrustedProxies, cookie: RefreshCookie) -> None:
        self._proxies = proxies
        self._cookie = cookie

    def client(self, context: RequestContext) -> Client:
        """Where a request came from."""
        said = context.request.headers.get(USER_AGENT, "")[:USER_AGENT_CHARS]
        agent = "".join(one if one.isprintable() else "?" for one in said)
        agent = agent.encode(errors="replace").decode()
        address = self._proxies.client_address(context.request)
        return Client(address, agent, context.request_id, partial(has_hung_up, context.request))

    def token(self, context: RequestContext) -> str:
        """The refresh token of a request; empty if there is none.

        Refuses ORIGIN_NOT_ALLOWED, CSRF_HEADER_REQUIRED, VALIDATION_ERROR.
        """
        given: str = context.body.refresh_token
        if context.query.transport == "body":
            return given
        if given:
            raise refuse(
                "VALIDATION_ERROR",
                "A refresh token in the body needs ?transport=body.",
                path="$.refresh_token",
            )
        return self._cookie.read(context.request)

    def signed_in(self, context: RequestContext, made: SignedIn, status: int = 200) -> Reply:
        """The answer to a sign-in or a refresh."""
        answer = Authenticated(
            user=made.user, access_token=made.access_token, expires_in=made.expires_in
        )
        if context.query.transport == "body":
            answer = msgspec.structs.replace(
                answer,
                refresh_token=made.refresh_token,
                refresh_expires_in=made.refresh_expires_in,
            )
            return success(answer, status=status)
        lines = self._cookie.lines(made.refresh_token, made.refresh_expires_in)
        return success(answer, status=status, extra=lines)

    def signed_out(self, data: object) -> Reply:
        """An answer that makes a browser forget the token."""
        return success(data, extra=self._cookie.cleared())
