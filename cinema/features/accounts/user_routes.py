"""Routes of accounts for admins: what becomes of somebody else's."""

from __future__ import annotations

from typing import Final

from cinema.domain.principal import ADMIN
from cinema.features.accounts.service import AccountsService
from cinema.features.accounts.shapes import PromoteInput, User
from cinema.http.context import RequestContext
from cinema.http.document import examples
from cinema.http.responses import Reply, success
from cinema.http.routing import Route

TAG: Final = "Accounts"


def user_routes(accounts: AccountsService) -> tuple[Route, ...]:
    """The routes below `/admin/users`."""

    async def promote(context: RequestContext) -> Reply:
        (user_id,) = context.params
        return success(await accounts.promote(context.principal, user_id, context.body))

    return (
        Route(
            method="POST",
            path="/api/v1/admin/users/{user_id}/promote",
            handler=promote,
            operation_id="promoteUser",
            summary="Give an account a role",
            description="Staff and managers act only at the cinemas of `cinema_ids`, which replace "
            "those before. Tokens of the account end at once. Nobody can change their own role.",
            tag=TAG,
            auth="bearer",
            roles=frozenset({ADMIN}),
            request=PromoteInput,
            request_example={"role": "manager", "cinema_ids": [examples.CINEMA_ID]},
            response=User,
            response_example={**examples.USER, "role": "manager"},
            errors=("NOT_FOUND", "UNKNOWN_REFERENCE", "RETRY"),
        ),
    )
