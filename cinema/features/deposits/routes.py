"""Routes of deposits."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.features.accounts.authority import COUNTER_ROLES
from cinema.features.accounts.front_door import FrontDoor
from cinema.features.deposits import examples
from cinema.features.deposits.service import DepositsService
from cinema.features.deposits.shapes import Deposit, DepositInput
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Deposits"


class DepositParts(msgspec.Struct, frozen=True):
    """What the handlers of this module work with."""

    deposits: DepositsService
    door: FrontDoor


@Operation(
    method="POST",
    path="/api/v1/bookings/{booking_id}/deposit",
    operation_id="takeDeposit",
    summary="Take a deposit for a group",
    description="For a booking that is not paid yet, mostly a reservation with `pay_until`. The "
    "deposit is put aside for it: the rest is due until then (`POST /payments/process`), and all "
    "of it is one booking and one invoice. If nobody pays the rest, `kept_percent` of the deposit "
    "stays with the cinema, and what is left is on a gift card. A booking has one deposit: "
    "otherwise the refusal says why there can be none (`details.reason`: `has_deposit`, `ended`, "
    "`waits` for a series or an exchange, `part_paid`, `too_small`).",
    tag=TAG,
    auth="bearer",
    roles=COUNTER_ROLES,
    request=DepositInput,
    request_example=examples.DEPOSIT_INPUT,
    response=Deposit,
    response_example=examples.TAKEN,
    status=201,
    errors=(
        "DEPOSIT_NOT_TAKEN",
        "PAYMENT_IN_PROGRESS",
        "UNKNOWN_PAYMENT_METHOD",
        "CASH_SESSION_REQUIRED",
        "RETRY",
        "OUTCOME_UNKNOWN",
    ),
    idempotent=True,
)
async def take_deposit(parts: DepositParts, context: RequestContext) -> Reply:
    """Take a deposit."""
    (booking_id,) = context.ids
    client = parts.door.client(context)
    deposit = await parts.deposits.take(
        context.principal, booking_id, context.body, client, context.request_key
    )
    return success(deposit, status=201)


@Operation(
    method="GET",
    path="/api/v1/bookings/{booking_id}/deposit",
    operation_id="getDeposit",
    summary="Get the deposit of a booking",
    description="Once it is decided, with the gift card that has what is left of it.",
    tag=TAG,
    auth="bearer",
    roles=COUNTER_ROLES,
    response=Deposit,
    response_example=examples.DEPOSIT,
    errors=("RETRY",),
)
async def get_deposit(parts: DepositParts, context: RequestContext) -> Reply:
    """One deposit."""
    (booking_id,) = context.ids
    return success(await parts.deposits.deposit(context.principal, booking_id))


ROUTES: Final = (take_deposit, get_deposit)
