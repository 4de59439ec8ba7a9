"""Routes of accounts for everybody: register, log in, who am I."""

from __future__ import annotations

from typing import Final

from cinema.features.accounts.service import AccountsService
from cinema.features.accounts.shapes import Authenticated, LoginInput, RegisterInput, User
from cinema.http.connections.proxies import TrustedProxies
from cinema.http.context import RequestContext
from cinema.http.document import examples
from cinema.http.responses import Reply, success
from cinema.http.routing import Route

TAG: Final = "Accounts"


def auth_routes(accounts: AccountsService, proxies: TrustedProxies) -> tuple[Route, ...]:
    """The routes below `/auth`."""

    async def register(context: RequestContext) -> Reply:
        address = proxies.client_address(context.request)
        made = await accounts.register(context.body, address, context.request_key)
        return success(made, status=201)

    async def login(context: RequestContext) -> Reply:
        return success(await accounts.login(context.body, proxies.client_address(context.request)))

    async def me(context: RequestContext) -> Reply:
        return success(await accounts.me(context.principal))

    return (
        Route(
            method="POST",
            path="/api/v1/auth/register",
            handler=register,
            operation_id="register",
            summary="Open an account",
            description="The new customer is signed in at once. One address may open five "
            "accounts an hour.",
            tag=TAG,
            request=RegisterInput,
            request_example=examples.REGISTRATION,
            response=Authenticated,
            response_example=examples.AUTHENTICATED,
            status=201,
            errors=(
                "RATE_LIMITED",
                "EMAIL_TAKEN",
                "IDEMPOTENCY_MISMATCH",
                "OVERLOADED",
                "RETRY",
            ),
            idempotent=True,
        ),
        Route(
            method="POST",
            path="/api/v1/auth/login",
            handler=login,
            operation_id="login",
            summary="Sign in",
            description="Ten failures within five minutes from one address close the door "
            "for that account and address until the window has passed; so do a hundred failures "
            "of one address, and thirty at one account within an hour for addresses from which "
            "nobody has signed in to it before.",
            tag=TAG,
            request=LoginInput,
            request_example=examples.CREDENTIALS,
            response=Authenticated,
            response_example=examples.AUTHENTICATED,
            errors=("INVALID_CREDENTIALS", "RATE_LIMITED", "OVERLOADED", "RETRY"),
        ),
        Route(
            method="GET",
            path="/api/v1/auth/me",
            handler=me,
            operation_id="me",
            summary="Who am I",
            tag=TAG,
            auth="bearer",
            response=User,
            response_example=examples.USER,
            errors=("NOT_FOUND", "RETRY"),
        ),
    )
