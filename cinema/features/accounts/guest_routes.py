"""Routes of guests: begin, renew, end, and claim by an account."""

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
    """What the handlers of this module work with."""

    guests: GuestsService
    door: FrontDoor


@Operation(
    method="POST",
    path="/api/v1/auth/guest",
    operation_id="beginGuest",
    summary="Buy without an account",
    description="Gives a token to hold seats, book them with an e-mail address, and see and cancel "
    "your own holds and bookings. It is valid for a day. A request with the token of a guest gives "
    "another token of the same guest. It is valid for another day if the guest holds seats, "
    "otherwise for the rest of the time. There is no refresh token. Five guests may begin in an "
    "hour from one address.",
    tag=TAG,
    auth="optional",
    roles=GUESTS,
    response=GuestToken,
    response_example=examples.GUEST_TOKEN,
    status=201,
    errors=("RATE_LIMITED", "RETRY", "OUTCOME_UNKNOWN"),
)
async def begin_guest(parts: GuestParts, context: RequestContext) -> Reply:
    """Begin or renew a guest."""
    if context.caller is None:
        return success(await parts.guests.begin(parts.door.client(context)), status=201)
    return success(await parts.guests.renew(context.caller), status=201)


@Operation(
    method="DELETE",
    path="/api/v1/auth/guest",
    operation_id="endGuest",
    summary="Stop being a guest",
    description="The guest's tokens become invalid. Bookings stay, and the links to them stay "
    "valid; holds expire.",
    tag=TAG,
    auth="bearer",
    roles=GUESTS,
    response=GuestEnded,
    response_example=examples.GUEST_ENDED,
    errors=("RETRY", "OUTCOME_UNKNOWN"),
)
async def end_guest(parts: GuestParts, context: RequestContext) -> Reply:
    """End the guest."""
    return success(await parts.guests.end(context.principal))


@Operation(
    method="POST",
    path="/api/v1/auth/guest/claim",
    operation_id="claimGuest",
    summary="Claim your holds and bookings as a guest",
    description="For an account whose e-mail address is confirmed. It claims every guest who has "
    "booked with that address, and the guest of `guest_token`, unless that guest has booked with "
    "another address. From then on the account sees, changes and cancels these guests' holds and "
    "bookings, and the guests' tokens are invalid. Guests that were claimed before stay as they "
    "are.",
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
    """Claim guests for the account of the caller."""
    client = parts.door.client(context)
    return success(await parts.guests.claim(context.principal, context.body, client))


ROUTES: Final = (begin_guest, end_guest, claim_guest)
