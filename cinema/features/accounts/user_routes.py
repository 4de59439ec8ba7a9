"""Routes of accounts for admins: what becomes of somebody else's."""

from __future__ import annotations

from typing import Final

from cinema.domain.principal import ADMIN
from cinema.features.accounts import examples
from cinema.features.accounts.service import AccountsService
from cinema.features.accounts.shapes import PromoteInput, User
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Accounts"


@Operation(
    method="POST",
    path="/api/v1/admin/users/{user_id}/promote",
    operation_id="promoteUser",
    summary="Give an account a role",
    description="Staff and managers act only at the cinemas of `cinema_ids`, which replace those "
    "before. Tokens of the account end at once. Nobody can change their own role.",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN}),
    request=PromoteInput,
    request_example=examples.PROMOTION,
    response=User,
    response_example=examples.PROMOTED,
    errors=("UNKNOWN_REFERENCE", "RETRY"),
)
async def promote(accounts: AccountsService, context: RequestContext) -> Reply:
    """Give somebody else's account a role and its cinemas."""
    (user_id,) = context.params
    return success(await accounts.promote(context.principal, user_id, context.body))


ROUTES: Final = (promote,)
