"""Routes of guests: begin, go on, end, and become somebody's."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.domain.principal import GUEST
from cinema.features.accounts import examples
from cinema.features.accounts.front_door import FrontDoor
from cinema.features.accounts.guest_service import GuestsService
from cinema.features.accounts.shapes import Claim, ClaimInput, GuestEnded, GuestToken
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Guests"

GUESTS: Final = frozenset({GUEST})


class GuestParts(msgspec.Struct, frozen=True):
    """What the routes of guests work with."""

    guests: GuestsService
    door: FrontDoor


@Operation(
    method="POST",
    path="/api/v1/auth/guest",
    operation_id="beginGuest",
    summary="Buy without an account",
    description="A token with which one may hold seats, book them with an e-mail address, and see "
    "and cancel what is one's own. It is good for a day. With the token of a guest, it gives "
    "another token of the same guest: for a day from now on while the guest holds seats, else for "
    "what is left. There is no refresh token. From one address five guests may begin in an hour.",
    tag=TAG,
    auth="optional",
    roles=GUESTS,
    response=GuestToken,
    response_example=examples.GUEST_TOKEN,
    status=201,
    errors=("RATE_LIMITED", "RETRY", "OUTCOME_UNKNOWN"),
)
async def begin_guest(parts: GuestParts, context: RequestContext) -> Reply:
    """A guest, or more time for one."""
    if context.caller is None:
        return success(await parts.guests.begin(parts.door.client(context)), status=201)
    return success(await parts.guests.renew(context.caller), status=201)


@Operation(
    method="DELETE",
    path="/api/v1/auth/guest",
    operation_id="endGuest",
    summary="Stop being a guest",
    description="The guest's tokens count no longer. Bookings stay, and the links to them are "
    "good; holds run out.",
    tag=TAG,
    auth="bearer",
    roles=GUESTS,
    response=GuestEnded,
    response_example=examples.GUEST_ENDED,
    errors=("RETRY",),
)
async def end_guest(parts: GuestParts, context: RequestContext) -> Reply:
    """End the caller's tokens."""
    return success(await parts.guests.end(context.principal))


@Operation(
    method="POST",
    path="/api/v1/auth/guest/claim",
    operation_id="claimGuest",
    summary="Make what one did as a guest one's own",
    description="For an account whose e-mail address is confirmed. Every guest who has booked with "
    "that address becomes the account's, and with `guest_token` the guest who has this token and "
    "has not booked with another one. From then on the account sees, changes and cancels the "
    "guest's holds and bookings; the guest's token counts no longer. What is claimed already "
    "stays as it is.",
    tag=TAG,
    auth="bearer",
    request=ClaimInput,
    request_example=examples.CLAIM_INPUT,
    body_optional=True,
    response=Claim,
    response_example=examples.CLAIM,
    errors=(
        *("EMAIL_NOT_VERIFIED", "GUEST_ENDED", "GUEST_HAS_EMAIL", "NOT_FOUND", "RETRY"),
        "OUTCOME_UNKNOWN",
    ),
)
async def claim_guest(parts: GuestParts, context: RequestContext) -> Reply:
    """Map guests to the caller's account."""
    client = parts.door.client(context)
    return success(await parts.guests.claim(context.principal, context.body, client))


ROUTES: Final = (begin_guest, end_guest, claim_guest)
