"""Routes of sessions: refresh, sign out, and list one's sessions."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.features.accounts import examples
from cinema.features.accounts.front_door import COOKIE_ERRORS, FrontDoor
from cinema.features.accounts.session_service import SessionsService
from cinema.features.accounts.shapes import (
    Authenticated,
    RefreshInput,
    Session,
    SessionsEnded,
    TransportQuery,
)
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Accounts"


class SessionParts(msgspec.Struct, frozen=True):
    """What the handlers of this module work with."""

    sessions: SessionsService
    door: FrontDoor


@Operation(
    method="POST",
    path="/api/v1/auth/refresh",
    operation_id="refresh",
    summary="Get the next access token",
    description="Browsers send the cookie and any `X-Requested-With` from a page of an allowed "
    "origin, without a body. Other clients send `refresh_token` with `?transport=body`. Each use "
    "replaces the refresh token. The same token again within ten seconds gives the same next one, "
    "for example if several tabs ask or an answer was lost. Later it ends the session, since "
    "somebody has copied it. A session ends after seven days without a refresh, and at the latest "
    "after thirty days.",
    tag=TAG,
    query=TransportQuery,
    request=RefreshInput,
    request_example=examples.REFRESH,
    body_optional=True,
    response=Authenticated,
    response_example=examples.REFRESHED,
    errors=(*COOKIE_ERRORS, "UNAUTHENTICATED", "RATE_LIMITED", "RETRY", "OUTCOME_UNKNOWN"),
)
async def refresh(parts: SessionParts, context: RequestContext) -> Reply:
    """The next tokens of a session."""
    door = parts.door
    token = door.token(context)
    return door.signed_in(context, await parts.sessions.refresh(token, door.client(context)))


@Operation(
    method="POST",
    path="/api/v1/auth/logout",
    operation_id="logout",
    summary="End this session",
    description="Ends the session of the access token, of the refresh token, or of both. A token "
    "that is not valid, or no more, is as good as none. Without a token there is nothing to do, "
    "and that is a success too.",
    tag=TAG,
    auth="lenient",
    query=TransportQuery,
    request=RefreshInput,
    request_example=examples.REFRESH,
    body_optional=True,
    response=SessionsEnded,
    response_example=examples.ENDED,
    errors=(*COOKIE_ERRORS, "RETRY", "OUTCOME_UNKNOWN"),
)
async def log_out(parts: SessionParts, context: RequestContext) -> Reply:
    """End the sessions of the request's tokens."""
    token = parts.door.token(context)
    return parts.door.signed_out(await parts.sessions.log_out(context.caller, token))


@Operation(
    method="POST",
    path="/api/v1/auth/logout-all",
    operation_id="logoutEverywhere",
    summary="End all your sessions, also this one",
    tag=TAG,
    auth="bearer",
    response=SessionsEnded,
    response_example=examples.ENDED,
    errors=("RETRY", "OUTCOME_UNKNOWN"),
)
async def log_out_everywhere(parts: SessionParts, context: RequestContext) -> Reply:
    """End all sessions of the caller."""
    return parts.door.signed_out(await parts.sessions.log_out_everywhere(context.principal))


@Operation(
    method="GET",
    path="/api/v1/auth/sessions",
    operation_id="listSessions",
    summary="List your sessions",
    description="Newest first, at most a hundred: one more sign-in ends the oldest.",
    tag=TAG,
    auth="bearer",
    response=list[Session],
    response_example=[examples.SESSION],
    errors=("RETRY",),
)
async def list_sessions(parts: SessionParts, context: RequestContext) -> Reply:
    """The caller's sessions."""
    return success(await parts.sessions.sessions(context.principal))


@Operation(
    method="DELETE",
    path="/api/v1/auth/sessions/{session_id}",
    operation_id="endSession",
    summary="End one of your sessions",
    tag=TAG,
    auth="bearer",
    response=SessionsEnded,
    response_example=examples.ENDED,
    errors=("RETRY", "OUTCOME_UNKNOWN"),
)
async def end_session(parts: SessionParts, context: RequestContext) -> Reply:
    """End a session of the caller."""
    (session_id,) = context.ids
    return success(await parts.sessions.end(context.principal, session_id))


ROUTES: Final = (refresh, log_out, log_out_everywhere, list_sessions, end_session)
