"""Routes of accounts for everybody: register, log in, who am I."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from cinema.features.accounts import examples
from cinema.features.accounts.service import AccountsService
from cinema.features.accounts.shapes import Authenticated, LoginInput, RegisterInput, User
from cinema.http.connections.request import HttpRequest
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Accounts"


class AuthParts(msgspec.Struct, frozen=True):
    """What the routes below `/auth` work with: `address_of` tells where a client is."""

    accounts: AccountsService
    address_of: Callable[[HttpRequest], str]


@Operation(
    method="POST",
    path="/api/v1/auth/register",
    operation_id="register",
    summary="Open an account",
    description="The new customer is signed in at once. One address may open five accounts an "
    "hour.",
    tag=TAG,
    request=RegisterInput,
    request_example=examples.REGISTRATION,
    response=Authenticated,
    response_example=examples.AUTHENTICATED,
    status=201,
    errors=("RATE_LIMITED", "EMAIL_TAKEN", "OVERLOADED", "RETRY"),
    idempotent=True,
)
async def register(auth: AuthParts, context: RequestContext) -> Reply:
    """Open an account and sign in to it."""
    address = auth.address_of(context.request)
    made = await auth.accounts.register(context.body, address, context.request_key)
    return success(made, status=201)


@Operation(
    method="POST",
    path="/api/v1/auth/login",
    operation_id="login",
    summary="Sign in",
    description="Ten failures within five minutes from one address close the door for that account "
    "and address until the window has passed; so do a hundred failures of one address, and thirty "
    "at one account within an hour for addresses from which nobody has signed in to it before.",
    tag=TAG,
    request=LoginInput,
    request_example=examples.CREDENTIALS,
    response=Authenticated,
    response_example=examples.AUTHENTICATED,
    errors=("INVALID_CREDENTIALS", "RATE_LIMITED", "OVERLOADED", "RETRY"),
)
async def login(auth: AuthParts, context: RequestContext) -> Reply:
    """Open a session."""
    return success(await auth.accounts.login(context.body, auth.address_of(context.request)))


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


ROUTES: Final = (register, login, me)
