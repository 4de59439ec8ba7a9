"""Routes of invoices and the documents that correct them."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.domain.paging import PageQuery
from cinema.domain.principal import ADMIN, MANAGER
from cinema.features.bookings.order_service import OrdersService
from cinema.features.invoices import examples
from cinema.features.invoices.service import InvoicesService, shown
from cinema.features.invoices.shapes import Document, DocumentEntry, DocumentQuery, FormQuery
from cinema.http.connections.proxies import TrustedProxies
from cinema.http.context import RequestContext
from cinema.http.negotiation import wanted
from cinema.http.pages import PageMeta, listed
from cinema.http.responses import Medium, Reply, success
from cinema.http.routes import Operation
from cinema.http.steps import LINK_TOKEN

TAG: Final = "Invoices"

JSON_TYPE: Final = "application/json"
PDF_TYPE: Final = "application/pdf"
PDF: Final = Medium(content_type=PDF_TYPE)

_FORMS: Final = (
    "With `Accept: application/pdf` the answer is a PDF, in English or German: in `language`, or "
    "the first of `Accept-Language`, or the language of the customer."
)


class InvoiceParts(msgspec.Struct, frozen=True):
    """What the handlers work with."""

    invoices: InvoicesService
    orders: OrdersService
    proxies: TrustedProxies


async def _answer(invoices: InvoicesService, context: RequestContext, content: bytes) -> Reply:
    """A document in the form that the client wants."""
    if wanted(context.request, (JSON_TYPE, PDF_TYPE)) == JSON_TYPE:
        return success(shown(content))
    asked = context.query.language or context.request.headers.get("Accept-Language", "")
    return Reply(200, await invoices.pdf(content, asked), medium=PDF)


@Operation(
    method="GET",
    path="/api/v1/payments/{payment_id}/invoice",
    operation_id="getInvoiceOfPayment",
    summary="Get the invoice of a payment",
    description="It is issued within a minute after the booking is confirmed. Until then the "
    "answer is 409 `INVOICE_NOT_READY`: ask again, and if `details.booking_status` is `pending`, "
    f"pay first. Corrections are among the documents of the booking.\n\n{_FORMS}",
    tag=TAG,
    auth="bearer",
    guests=True,
    query=FormQuery,
    response=Document,
    also=(PDF_TYPE,),
    response_example=examples.DOCUMENT,
    errors=("NOT_ACCEPTABLE", "INVOICE_NOT_READY", "RETRY", "OVERLOADED"),
)
async def get_invoice_of_payment(parts: InvoiceParts, context: RequestContext) -> Reply:
    """The invoice of a payment that the caller may see."""
    (payment_id,) = context.ids
    content = await parts.invoices.of_payment(context.principal, payment_id)
    return await _answer(parts.invoices, context, content)


@Operation(
    method="GET",
    path="/api/v1/invoices/{invoice_id}",
    operation_id="getInvoice",
    summary="Get an invoice, credit note or cancellation",
    description=_FORMS,
    tag=TAG,
    auth="bearer",
    guests=True,
    query=FormQuery,
    response=Document,
    also=(PDF_TYPE,),
    response_example=examples.DOCUMENT,
    errors=("NOT_ACCEPTABLE", "RETRY", "OVERLOADED"),
)
async def get_invoice(parts: InvoiceParts, context: RequestContext) -> Reply:
    """A document of a booking that the caller may see."""
    (document_id,) = context.ids
    content = await parts.invoices.document(context.principal, document_id)
    return await _answer(parts.invoices, context, content)


@Operation(
    method="GET",
    path="/api/v1/bookings/{booking_id}/documents",
    operation_id="listDocumentsOfBooking",
    summary="List the documents of a booking, oldest first",
    description="The invoice, a credit note for each refund, or the cancellation of the invoice.",
    tag=TAG,
    auth="bearer",
    guests=True,
    query=PageQuery,
    response=list[DocumentEntry],
    response_example=[examples.ENTRY],
    meta=PageMeta,
    errors=("RETRY",),
)
async def list_of_booking(parts: InvoiceParts, context: RequestContext) -> Reply:
    """A page of the documents of a booking."""
    (booking_id,) = context.ids
    return listed(await parts.invoices.of_booking(context.principal, booking_id, context.query))


@Operation(
    method="GET",
    path="/api/v1/cinemas/{cinema_id}/invoices",
    operation_id="listInvoicesOfCinema",
    summary="List the documents of a cinema, newest first",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN, MANAGER}),
    query=DocumentQuery,
    response=list[DocumentEntry],
    response_example=[examples.ENTRY],
    meta=PageMeta,
    errors=("RETRY",),
)
async def list_of_cinema(parts: InvoiceParts, context: RequestContext) -> Reply:
    """A page of the documents of a cinema."""
    (cinema_id,) = context.ids
    return listed(await parts.invoices.of_cinema(context.principal, cinema_id, context.query))


@Operation(
    method="GET",
    path="/api/v1/orders/{booking_id}/invoice",
    operation_id="getInvoiceOfOrder",
    summary="Get the invoice of a guest's booking with its link",
    description="As `GET /payments/{payment_id}/invoice`, with the token of the link in the header "
    f"`Link-Token`, as for `GET /orders/{{booking_id}}`.\n\n{_FORMS}",
    tag=TAG,
    auth="link",
    query=FormQuery,
    response=Document,
    also=(PDF_TYPE,),
    response_example=examples.DOCUMENT,
    errors=(
        *("INVALID_LINK", "RATE_LIMITED", "NOT_ACCEPTABLE", "INVOICE_NOT_READY", "RETRY"),
        "OVERLOADED",
    ),
)
async def get_invoice_of_order(parts: InvoiceParts, context: RequestContext) -> Reply:
    """The invoice of the booking of a link."""
    (booking_id,) = context.ids
    token = context.request.headers[LINK_TOKEN]
    await parts.orders.check(booking_id, token, parts.proxies.client_address(context.request))
    return await _answer(parts.invoices, context, await parts.invoices.of_order(booking_id))


ROUTES: Final = (
    get_invoice_of_payment,
    get_invoice,
    list_of_booking,
    list_of_cinema,
    get_invoice_of_order,
)
