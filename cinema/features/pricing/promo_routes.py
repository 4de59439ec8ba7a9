"""Routes of promo codes, for managers and admins."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.domain.principal import ADMIN, MANAGER
from cinema.features.accounts.front_door import FrontDoor
from cinema.features.pricing import examples
from cinema.features.pricing.promo_service import PromosService
from cinema.features.pricing.shapes import Gone, PromoCode, PromoInput, PromoQuery, PromoTerms
from cinema.http.conditional import tagged, version_tag, versions_seen
from cinema.http.context import RequestContext
from cinema.http.pages import PageMeta, listed
from cinema.http.responses import Reply, header_lines, success, success_body
from cinema.http.routes import Operation

TAG: Final = "Prices"
WRITERS: Final = frozenset({MANAGER, ADMIN})


class PromoParts(msgspec.Struct, frozen=True):
    """What the handlers of this module work with."""

    promos: PromosService
    door: FrontDoor


@Operation(
    method="GET",
    path="/api/v1/pricing/promocodes",
    operation_id="listPromoCodes",
    summary="List promo codes, oldest first",
    description="Managers see codes that name one of their cinemas.",
    tag=TAG,
    auth="bearer",
    roles=WRITERS,
    query=PromoQuery,
    response=list[PromoCode],
    response_example=[examples.PROMO],
    meta=PageMeta,
    errors=("RETRY",),
)
async def list_promos(parts: PromoParts, context: RequestContext) -> Reply:
    """A page of codes."""
    return listed(await parts.promos.promos(context.principal, context.query))


@Operation(
    method="POST",
    path="/api/v1/pricing/promocodes",
    operation_id="addPromoCode",
    summary="Add a promo code",
    description="Managers add codes for cinemas of theirs. One that is not `stackable` excludes a "
    "group discount: what costs the customer less counts.",
    tag=TAG,
    auth="bearer",
    roles=WRITERS,
    request=PromoInput,
    request_example=examples.PROMO_INPUT,
    response=PromoCode,
    response_example=examples.PROMO,
    status=201,
    errors=("UNKNOWN_REFERENCE", "NAME_TAKEN", "RETRY", "OUTCOME_UNKNOWN"),
    idempotent=True,
)
async def add_promo(parts: PromoParts, context: RequestContext) -> Reply:
    """Add a code."""
    client = parts.door.client(context)
    promo = await parts.promos.add(context.principal, context.body, client, context.request_key)
    return success(promo, status=201)


@Operation(
    method="GET",
    path="/api/v1/pricing/promocodes/{promo_id}",
    operation_id="getPromoCode",
    summary="Get a promo code",
    tag=TAG,
    auth="bearer",
    roles=WRITERS,
    response=PromoCode,
    response_example=examples.PROMO,
    etag=True,
    errors=("RETRY",),
)
async def get_promo(parts: PromoParts, context: RequestContext) -> Reply:
    """One code."""
    (promo_id,) = context.ids
    promo = await parts.promos.promo(context.principal, promo_id)
    return tagged(context.request, version_tag(promo.version), success_body(promo))


@Operation(
    method="PUT",
    path="/api/v1/pricing/promocodes/{promo_id}",
    operation_id="changePromoCode",
    summary="Change a promo code",
    description="What is left out gets its default; the text of a code stays. `If-Match` names the "
    "version that you have seen.",
    tag=TAG,
    auth="bearer",
    roles=WRITERS,
    request=PromoTerms,
    request_example=examples.PROMO_TERMS,
    response=PromoCode,
    response_example=examples.PROMO_CHANGED,
    if_match=True,
    etag=True,
    errors=("UNKNOWN_REFERENCE", "RETRY", "OUTCOME_UNKNOWN"),
)
async def change_promo(parts: PromoParts, context: RequestContext) -> Reply:
    """Change a code."""
    (promo_id,) = context.ids
    seen = versions_seen(context.request)
    client = parts.door.client(context)
    promo = await parts.promos.change(context.principal, promo_id, context.body, seen, client)
    return success(promo, extra=header_lines(etag=version_tag(promo.version)))


@Operation(
    method="DELETE",
    path="/api/v1/pricing/promocodes/{promo_id}",
    operation_id="deletePromoCode",
    summary="Delete a promo code",
    description="Bookings that used it stay as they are.",
    tag=TAG,
    auth="bearer",
    roles=WRITERS,
    response=Gone,
    response_example=examples.PROMO_GONE,
    if_match=True,
    errors=("RETRY", "OUTCOME_UNKNOWN"),
    idempotent=True,
)
async def delete_promo(parts: PromoParts, context: RequestContext) -> Reply:
    """Delete a code."""
    (promo_id,) = context.ids
    seen = versions_seen(context.request)
    client = parts.door.client(context)
    return success(
        await parts.promos.delete(context.principal, promo_id, seen, client, context.request_key)
    )


ROUTES: Final = (list_promos, add_promo, get_promo, change_promo, delete_promo)
