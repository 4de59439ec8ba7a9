"""Routes for the caller's own account."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.features.accounts import examples
from cinema.features.accounts.front_door import FrontDoor
from cinema.features.accounts.profile_service import ProfileService
from cinema.features.accounts.shapes import DeleteInput, Deletion, ProfilePatch, User
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Accounts"


class ProfileParts(msgspec.Struct, frozen=True):
    """What the handlers of this module work with."""

    profile: ProfileService
    door: FrontDoor


@Operation(
    method="PATCH",
    path="/api/v1/auth/me",
    operation_id="changeMe",
    summary="Change your name and the language of messages",
    tag=TAG,
    auth="bearer",
    request=ProfilePatch,
    request_example=examples.PROFILE,
    response=User,
    response_example=examples.USER,
    errors=("NOT_FOUND", "RETRY", "OUTCOME_UNKNOWN"),
)
async def change_me(parts: ProfileParts, context: RequestContext) -> Reply:
    """Change the caller's account."""
    return success(await parts.profile.change(context.principal, context.body))


@Operation(
    method="DELETE",
    path="/api/v1/auth/me",
    operation_id="deleteMe",
    summary="Delete your account",
    description="All sessions end now. The account is erased after seven days, unless somebody "
    "signs in to it before. Bookings and payments stay, without a name. Refused while something is "
    "open (`details.reason`): a coming `booking`, which you can cancel first, a `payment`, or a "
    "`refund` that you do not have yet. With an authenticator, `code` is needed too.",
    tag=TAG,
    auth="bearer",
    request=DeleteInput,
    request_example=examples.DELETE_ME,
    response=Deletion,
    response_example=examples.DELETION,
    errors=(
        *("NOT_FOUND", "INVALID_CREDENTIALS", "MFA_REQUIRED", "FORBIDDEN", "BOOKING_AHEAD"),
        *("OVERLOADED", "RETRY", "OUTCOME_UNKNOWN"),
    ),
)
async def delete_me(parts: ProfileParts, context: RequestContext) -> Reply:
    """Delete the caller's account."""
    client = parts.door.client(context)
    return parts.door.signed_out(
        await parts.profile.delete(context.principal, context.body, client)
    )


ROUTES: Final = (change_me, delete_me)
