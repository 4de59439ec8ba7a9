"""Routes of products and of what is picked up."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.domain.principal import ADMIN, MANAGER
from cinema.features.accounts.authority import COUNTER_ROLES
from cinema.features.accounts.front_door import FrontDoor
from cinema.features.concessions import examples
from cinema.features.concessions.service import ConcessionsService
from cinema.features.concessions.shapes import (
    PickUpInput,
    PickUpOrder,
    PickUpQuery,
    Product,
    ProductFields,
    ProductGone,
    ProductInput,
    ProductOnSale,
    ProductQuery,
)
from cinema.http.conditional import tagged, version_tag, versions_seen
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, header_lines, success, success_body
from cinema.http.routes import Operation

TAG: Final = "Concessions"
WRITERS: Final = frozenset({MANAGER, ADMIN})


class ConcessionParts(msgspec.Struct, frozen=True):
    """What the handlers of this module work with."""

    concessions: ConcessionsService
    door: FrontDoor


@Operation(
    method="GET",
    path="/api/v1/cinemas/{cinema_id}/concessions",
    operation_id="listConcessions",
    summary="List what a cinema sells with its tickets now",
    description="By category and name. `POST /bookings` takes them as `concessions`.",
    tag=TAG,
    response=list[ProductOnSale],
    response_example=[examples.ON_SALE],
    errors=("RETRY",),
)
async def list_on_sale(parts: ConcessionParts, context: RequestContext) -> Reply:
    """The products on sale."""
    (cinema_id,) = context.ids
    return success(await parts.concessions.on_sale(cinema_id))


@Operation(
    method="GET",
    path="/api/v1/concessions",
    operation_id="listProducts",
    summary="List all products of a cinema, oldest first",
    description="Also those that are not on sale now.",
    tag=TAG,
    auth="bearer",
    roles=COUNTER_ROLES,
    query=ProductQuery,
    response=list[Product],
    response_example=[examples.PRODUCT],
    errors=("NOT_FOUND", "RETRY"),
)
async def list_products(parts: ConcessionParts, context: RequestContext) -> Reply:
    """All products."""
    return success(await parts.concessions.products(context.principal, context.query.cinema_id))


@Operation(
    method="POST",
    path="/api/v1/concessions",
    operation_id="addProduct",
    summary="Add a product",
    description="`price` is in minor units of the cinema's currency, with the tax in it.",
    tag=TAG,
    auth="bearer",
    roles=WRITERS,
    request=ProductInput,
    request_example=examples.PRODUCT_INPUT,
    response=Product,
    response_example=examples.PRODUCT,
    status=201,
    errors=("UNKNOWN_REFERENCE", "PRODUCT_LIMIT", "RETRY", "OUTCOME_UNKNOWN"),
    idempotent=True,
)
async def add_product(parts: ConcessionParts, context: RequestContext) -> Reply:
    """Add a product."""
    client = parts.door.client(context)
    product = await parts.concessions.add(
        context.principal, context.body, client, context.request_key
    )
    return success(product, status=201)


@Operation(
    method="GET",
    path="/api/v1/concessions/{product_id}",
    operation_id="getProduct",
    summary="Get a product",
    tag=TAG,
    auth="bearer",
    roles=COUNTER_ROLES,
    response=Product,
    response_example=examples.PRODUCT,
    etag=True,
    errors=("RETRY",),
)
async def get_product(parts: ConcessionParts, context: RequestContext) -> Reply:
    """One product."""
    (product_id,) = context.ids
    product = await parts.concessions.product(context.principal, product_id)
    return tagged(context.request, version_tag(product.version), success_body(product))


@Operation(
    method="PUT",
    path="/api/v1/concessions/{product_id}",
    operation_id="changeProduct",
    summary="Change a product",
    description="What is left out gets its default. `If-Match` names the version that you have "
    "seen. What was sold before keeps its name and price.",
    tag=TAG,
    auth="bearer",
    roles=WRITERS,
    request=ProductFields,
    request_example=examples.PRODUCT_FIELDS,
    response=Product,
    response_example=examples.PRODUCT_CHANGED,
    if_match=True,
    etag=True,
    errors=("RETRY", "OUTCOME_UNKNOWN"),
)
async def change_product(parts: ConcessionParts, context: RequestContext) -> Reply:
    """Change a product."""
    (product_id,) = context.ids
    seen = versions_seen(context.request)
    client = parts.door.client(context)
    product = await parts.concessions.change(
        context.principal, product_id, context.body, seen, client
    )
    return success(product, extra=header_lines(etag=version_tag(product.version)))


@Operation(
    method="DELETE",
    path="/api/v1/concessions/{product_id}",
    operation_id="deleteProduct",
    summary="Delete a product",
    description="What was sold of it is still handed out.",
    tag=TAG,
    auth="bearer",
    roles=WRITERS,
    response=ProductGone,
    response_example=examples.PRODUCT_GONE,
    if_match=True,
    errors=("RETRY", "OUTCOME_UNKNOWN"),
    idempotent=True,
)
async def delete_product(parts: ConcessionParts, context: RequestContext) -> Reply:
    """Delete a product."""
    (product_id,) = context.ids
    seen = versions_seen(context.request)
    client = parts.door.client(context)
    return success(
        await parts.concessions.delete(
            context.principal, product_id, seen, client, context.request_key
        )
    )


@Operation(
    method="GET",
    path="/api/v1/cinemas/{cinema_id}/pick-ups",
    operation_id="listPickUps",
    summary="List what is still to be handed out, by start of the showtime",
    description="For showtimes of `date` on the calendar of the cinema, today without it. At most "
    "1,000. For staff of the cinema.",
    tag=TAG,
    auth="bearer",
    roles=COUNTER_ROLES,
    query=PickUpQuery,
    response=list[PickUpOrder],
    response_example=[examples.ORDER],
    errors=("RETRY",),
)
async def list_pick_ups(parts: ConcessionParts, context: RequestContext) -> Reply:
    """What is to be handed out."""
    (cinema_id,) = context.ids
    return success(await parts.concessions.open(context.principal, cinema_id, context.query.date))


@Operation(
    method="POST",
    path="/api/v1/concessions/pick-up",
    operation_id="pickUpConcessions",
    summary="Hand out the products of a booking",
    description="Once: whoever comes second gets `ALREADY_PICKED_UP` with the time. What was "
    "handed out does not go back with the booking.",
    tag=TAG,
    auth="bearer",
    roles=COUNTER_ROLES,
    request=PickUpInput,
    request_example=examples.PICK_UP_INPUT,
    response=PickUpOrder,
    response_example=examples.PICKED_UP,
    errors=(
        "NOT_FOUND",
        "ALREADY_PICKED_UP",
        "PAYMENT_IN_PROGRESS",
        "BOOKING_ENDED",
        "RETRY",
        "OUTCOME_UNKNOWN",
    ),
    idempotent=True,
)
async def pick_up(parts: ConcessionParts, context: RequestContext) -> Reply:
    """Hand out products."""
    client = parts.door.client(context)
    return success(
        await parts.concessions.pick_up(
            context.principal, context.body, client, context.request_key
        )
    )


ROUTES: Final = (
    list_on_sale,
    list_products,
    add_product,
    get_product,
    change_product,
    delete_product,
    list_pick_ups,
    pick_up,
)
