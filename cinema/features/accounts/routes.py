"""Routes of accounts for everybody: register, log in, who am I."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.features.accounts import examples
from cinema.features.accounts.front_door import FrontDoor
from cinema.features.accounts.invitation_service import InvitationsService
from cinema.features.accounts.service import AccountsService
from cinema.features.accounts.shapes import (
    AcceptInput,
    Authenticated,
    ChallengeInput,
    LoginInput,
    RegisterInput,
    TransportQuery,
    User,
)
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Accounts"


class AuthParts(msgspec.Struct, frozen=True):
    """What the routes of signing in work with."""

    accounts: AccountsService
    invitations: InvitationsService
    door: FrontDoor


@Operation(
    method="POST",
    path="/api/v1/auth/register",
    operation_id="register",
    summary="Open an account",
    description="The new customer is signed in at once. The refresh token comes in a cookie, with "
    "`?transport=body` in the body. One address may open five accounts an hour.",
    tag=TAG,
    query=TransportQuery,
    request=RegisterInput,
    request_example=examples.REGISTRATION,
    response=Authenticated,
    response_example=examples.AUTHENTICATED,
    status=201,
    errors=(
        *("MFA_REQUIRED", "RATE_LIMITED", "EMAIL_TAKEN", "OVERLOADED", "RETRY"),
        "OUTCOME_UNKNOWN",
    ),
    idempotent=True,
)
async def register(auth: AuthParts, context: RequestContext) -> Reply:
    """Open an account and sign in to it."""
    client = auth.door.client(context)
    made = await auth.accounts.register(context.body, client, context.request_key)
    return auth.door.signed_in(context, made, 201)


@Operation(
    method="POST",
    path="/api/v1/auth/login",
    operation_id="login",
    summary="Sign in",
    description="Ten failures within five minutes from one address close the door for that account "
    "and address until the window has passed; so do a hundred failures of one address, and thirty "
    "at one account within an hour for addresses from which nobody has signed in to it before. "
    "An account with an authenticator needs `code` too: in the same request, or in one of "
    "`POST /auth/mfa/login` with the `mfa_token` of MFA_REQUIRED.",
    tag=TAG,
    query=TransportQuery,
    request=LoginInput,
    request_example=examples.CREDENTIALS,
    response=Authenticated,
    response_example=examples.AUTHENTICATED,
    errors=(
        *("INVALID_CREDENTIALS", "MFA_REQUIRED", "RATE_LIMITED", "OVERLOADED", "RETRY"),
        "OUTCOME_UNKNOWN",
    ),
)
async def login(auth: AuthParts, context: RequestContext) -> Reply:
    """Open a session."""
    door = auth.door
    return door.signed_in(context, await auth.accounts.login(context.body, door.client(context)))


@Operation(
    method="POST",
    path="/api/v1/auth/mfa/login",
    operation_id="answerChallenge",
    summary="Sign in with the code that was asked for",
    description="`mfa_token` is that of MFA_REQUIRED: good for five minutes, five codes and one "
    "session, and void once the password or the authenticator changes. Wrong codes count as failed "
    "logins.",
    tag=TAG,
    query=TransportQuery,
    request=ChallengeInput,
    request_example=examples.CHALLENGE,
    response=Authenticated,
    response_example=examples.AUTHENTICATED,
    errors=("INVALID_CREDENTIALS", "RATE_LIMITED", "RETRY", "OUTCOME_UNKNOWN"),
)
async def answer_challenge(auth: AuthParts, context: RequestContext) -> Reply:
    """Open a session that waited for a code."""
    client = auth.door.client(context)
    return auth.door.signed_in(context, await auth.accounts.answer_challenge(context.body, client))


@Operation(
    method="GET",
    path="/api/v1/auth/me",
    operation_id="me",
    summary="Who am I",
    tag=TAG,
    auth="bearer",
    response=User,
    response_example=examples.USER,
    errors=("NOT_FOUND", "RETRY"),
)
async def me(auth: AuthParts, context: RequestContext) -> Reply:
    """The caller's account."""
    return success(await auth.accounts.me(context.principal))


@Operation(
    method="POST",
    path="/api/v1/auth/accept-invitation",
    operation_id="acceptInvitation",
    summary="Open an account that one was invited to",
    description="The role and the address are those of the invitation, and the address is proven "
    "by the link. `token` is what stands behind `#token=`.",
    tag=TAG,
    query=TransportQuery,
    request=AcceptInput,
    request_example=examples.ACCEPTANCE,
    response=Authenticated,
    response_example=examples.AUTHENTICATED,
    status=201,
    errors=("EMAIL_TAKEN", "INVALID_LINK", "OVERLOADED", "RETRY", "OUTCOME_UNKNOWN"),
)
async def accept_invitation(auth: AuthParts, context: RequestContext) -> Reply:
    """Open the account of an invitation and sign in to it."""
    client = auth.door.client(context)
    made = await auth.invitations.accept(context.body, client)
    return auth.door.signed_in(context, made, 201)


ROUTES: Final = (register, login, answer_challenge, me, accept_invitation)
