"""Routes of payments by Stripe: its webhooks, and for admins what differs."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.domain.principal import ADMIN
from cinema.features.payments import examples
from cinema.features.payments.difference_service import DifferencesService
from cinema.features.payments.shapes import Difference, DifferencesQuery, Taken
from cinema.features.payments.stripe_service import StripePayments
from cinema.http.context import RequestContext
from cinema.http.pages import PageMeta, listed
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Payments"

SIGNATURE: Final = "Stripe-Signature"


class StripeParts(msgspec.Struct, frozen=True):
    """What the handlers work with."""

    payments: StripePayments
    differences: DifferencesService


async def _take(parts: StripeParts, context: RequestContext) -> Reply:
    signature: str = context.request.headers.get(SIGNATURE, "")
    return success(Taken(new=await parts.payments.take(context.raw_body, signature)))


@Operation(
    method="POST",
    path="/api/v1/webhooks/stripe",
    operation_id="takeStripeEvent",
    summary="Receive an event of Stripe",
    description="For Stripe only: the body is signed in the header `Stripe-Signature`, not more "
    "than five minutes ago. An event is stored once, and worked on after the answer. It has 256 KB "
    "at most. `new` says whether it counts and was not known.",
    tag=TAG,
    request=bytes,
    response=Taken,
    response_example=examples.TAKEN,
    errors=("MALFORMED_JSON", "INVALID_SIGNATURE", "PAYLOAD_TOO_LARGE", "RETRY", "OUTCOME_UNKNOWN"),
)
async def take_stripe_event(parts: StripeParts, context: RequestContext) -> Reply:
    """An event."""
    return await _take(parts, context)


@Operation(
    method="POST",
    path="/api/webhooks/stripe",
    operation_id="takeStripeEventUnversioned",
    summary="The same, at an address that stays over versions of the API",
    tag=TAG,
    request=bytes,
    response=Taken,
    response_example=examples.TAKEN,
    errors=("MALFORMED_JSON", "INVALID_SIGNATURE", "PAYLOAD_TOO_LARGE", "RETRY", "OUTCOME_UNKNOWN"),
)
async def take_stripe_event_unversioned(parts: StripeParts, context: RequestContext) -> Reply:
    """An event."""
    return await _take(parts, context)


@Operation(
    method="GET",
    path="/api/v1/admin/payments/differences",
    operation_id="listPaymentDifferences",
    summary="List differences between our payments and Stripe's, newest first",
    description="Without `resolved`, those that are open.",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN}),
    query=DifferencesQuery,
    response=list[Difference],
    response_example=[examples.DIFFERENCE],
    meta=PageMeta,
    errors=("RETRY",),
)
async def list_payment_differences(parts: StripeParts, context: RequestContext) -> Reply:
    """A page of differences."""
    return listed(await parts.differences.differences(context.query))


ROUTES: Final = (take_stripe_event, take_stripe_event_unversioned, list_payment_differences)
