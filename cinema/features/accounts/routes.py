"""Routes of accounts for everybody: register, sign in, and see the own account."""

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
    """What the handlers of this module work with."""

    accounts: AccountsService
    invitations: InvitationsService
    door: FrontDoor


@Operation(
    method="POST",
    path="/api/v1/auth/register",
    operation_id="register",
    summary="Open an account",
    description="The new customer is signed in at once. The refresh token comes in a cookie, or in "
    "the body with `?transport=body`. One address may open five accounts an hour.",
    tag=TAG,
    query=TransportQuery,
    request=RegisterInput,
    request_example=examples.REGISTRATION,
    response=Authenticated,
    response_example=examples.AUTHENTICATED,
    status=201,
    # INVALID_CREDENTIALS: the account was disabled between its making and its first session.
    errors=(
        *("INVALID_CREDENTIALS", "MFA_REQUIRED", "RATE_LIMITED", "EMAIL_TAKEN", "OVERLOADED"),
        *("RETRY", "OUTCOME_UNKNOWN"),
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
    description="After ten failures within five minutes for one account and address, or a hundred "
    "from one address, further attempts are refused until the window has passed. After thirty "
    "failures within an hour for one account, addresses from which nobody has signed in to it "
    "before are refused. An account with an authenticator needs `code` too: in the same request, "
    "or in a `POST /auth/mfa/login` with the `mfa_token` of MFA_REQUIRED.",
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
    summary="Finish a sign-in with a code",
    description="`mfa_token` comes from MFA_REQUIRED. It is valid for five minutes, five codes and "
    "one session, and not after a change of the password or the authenticator. Wrong codes count "
    "as failed logins.",
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
    summary="Get your account",
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
    summary="Accept an invitation and open the account",
    description="Role and address come from the invitation, and the link proves the address. "
    "`token` is the part of the link after `#token=`.",
    tag=TAG,
    query=TransportQuery,
    request=AcceptInput,
    request_example=examples.ACCEPTANCE,
    response=Authenticated,
    response_example=examples.AUTHENTICATED,
    status=201,
    errors=(
        *("INVALID_CREDENTIALS", "EMAIL_TAKEN", "INVALID_LINK", "OVERLOADED", "RETRY"),
        "OUTCOME_UNKNOWN",
    ),
)
async def accept_invitation(auth: AuthParts, context: RequestContext) -> Reply:
    """Open the account of an invitation and sign in to it."""
    client = auth.door.client(context)
    made = await auth.invitations.accept(context.body, client)
    return auth.door.signed_in(context, made, 201)


ROUTES: Final = (register, login, answer_challenge, me, accept_invitation)
