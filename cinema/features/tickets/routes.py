"""Routes of tickets."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.features.accounts.authority import COUNTER_ROLES
from cinema.features.accounts.front_door import FrontDoor
from cinema.features.showtimes.icalendar import MEDIA_TYPE
from cinema.features.tickets import examples, qr
from cinema.features.tickets.service import TicketsService
from cinema.features.tickets.shapes import (
    CodeQuery,
    LanguageQuery,
    ReasonInput,
    Ticket,
    TicketQuery,
)
from cinema.http.context import RequestContext
from cinema.http.pages import PageMeta, listed
from cinema.http.responses import Medium, Reply, header_lines, success
from cinema.http.routes import Operation

TAG: Final = "Tickets"

SVG: Final = Medium(content_type="image/svg+xml")
PNG: Final = Medium(content_type="image/png")
PDF: Final = Medium(content_type="application/pdf")
PASS: Final = Medium(content_type="application/vnd.apple.pkpass")
CALENDAR: Final = Medium(content_type=f"{MEDIA_TYPE}; charset=utf-8")

_CODE: Final = (
    "Dark on white with a white border, so that it is read on any background. With `of=group` the "
    "code of the whole booking."
)


class TicketParts(msgspec.Struct, frozen=True):
    """What the handlers of this module work with."""

    tickets: TicketsService
    door: FrontDoor


@Operation(
    method="GET",
    path="/api/v1/tickets",
    operation_id="listTickets",
    summary="List your tickets, those of the latest booking first",
    description="With `booking_id` those of a booking that you may see, also as staff. A booking "
    "that is not paid has no tickets.",
    tag=TAG,
    auth="bearer",
    guests=True,
    query=TicketQuery,
    response=list[Ticket],
    response_example=[examples.TICKET],
    meta=PageMeta,
    errors=("NOT_FOUND", "TICKET_UNPAID", "RETRY"),
)
async def list_tickets(parts: TicketParts, context: RequestContext) -> Reply:
    """A page of tickets."""
    return listed(await parts.tickets.list(context.principal, context.query))


@Operation(
    method="GET",
    path="/api/v1/tickets/{ticket_id}",
    operation_id="getTicket",
    summary="Get a ticket",
    description="It keeps its id when its seat is changed, and gets a new `token`.",
    tag=TAG,
    auth="bearer",
    guests=True,
    response=Ticket,
    response_example=examples.TICKET,
    errors=("TICKET_UNPAID", "RETRY"),
)
async def get_ticket(parts: TicketParts, context: RequestContext) -> Reply:
    """One ticket."""
    (ticket_id,) = context.ids
    return success(await parts.tickets.ticket(context.principal, ticket_id))


@Operation(
    method="GET",
    path="/api/v1/tickets/{ticket_id}/qr.svg",
    operation_id="getTicketCodeAsSvg",
    summary="Get a ticket's QR code as SVG",
    description=_CODE,
    tag=TAG,
    auth="bearer",
    guests=True,
    query=CodeQuery,
    media_type="image/svg+xml",
    errors=("TICKET_UNPAID", "TICKET_CANCELLED", "RETRY"),
)
async def get_svg(parts: TicketParts, context: RequestContext) -> Reply:
    """The code as SVG."""
    (ticket_id,) = context.ids
    token = await parts.tickets.token(context.principal, ticket_id, context.query.of)
    return Reply(200, qr.svg_of(token), medium=SVG)


@Operation(
    method="GET",
    path="/api/v1/tickets/{ticket_id}/qr.png",
    operation_id="getTicketCodeAsPng",
    summary="Get a ticket's QR code as PNG",
    description=_CODE,
    tag=TAG,
    auth="bearer",
    guests=True,
    query=CodeQuery,
    media_type="image/png",
    errors=("TICKET_UNPAID", "TICKET_CANCELLED", "RETRY"),
)
async def get_png(parts: TicketParts, context: RequestContext) -> Reply:
    """The code as PNG."""
    (ticket_id,) = context.ids
    token = await parts.tickets.token(context.principal, ticket_id, context.query.of)
    return Reply(200, qr.png_of(token), medium=PNG)


@Operation(
    method="GET",
    path="/api/v1/bookings/{booking_id}/tickets.pdf",
    operation_id="getTicketsAsPdf",
    summary="Get the tickets of a booking as a PDF",
    description="To print: four on a page of A4, the code of the whole booking first if there are "
    "several. In English or German: in `language`, or the first of `Accept-Language`, or the "
    "language of the customer.",
    tag=TAG,
    auth="bearer",
    guests=True,
    query=LanguageQuery,
    media_type="application/pdf",
    errors=("TICKET_UNPAID", "TICKET_CANCELLED", "RETRY", "OVERLOADED"),
)
async def get_pdf(parts: TicketParts, context: RequestContext) -> Reply:
    """Tickets to print."""
    (booking_id,) = context.ids
    asked = context.query.language or context.request.headers.get("Accept-Language", "")
    pdf = await parts.tickets.pdf(context.principal, booking_id, asked)
    named = header_lines(content_disposition='inline; filename="tickets.pdf"')
    return Reply(200, pdf, named, PDF)


@Operation(
    method="GET",
    path="/api/v1/tickets/{ticket_id}/wallet.pkpass",
    operation_id="getTicketForWallet",
    summary="Get a ticket for the wallet of a telephone",
    description="A pass of Apple's wallet, which other wallets read too, in English or German as "
    "the PDF. A ticket that is issued again, or gets another seat, has another pass, which takes "
    "the place of the one before. 404 where the server has no certificate for passes.",
    tag=TAG,
    auth="bearer",
    guests=True,
    query=LanguageQuery,
    media_type="application/vnd.apple.pkpass",
    errors=("TICKET_UNPAID", "TICKET_CANCELLED", "RETRY"),
)
async def get_pass(parts: TicketParts, context: RequestContext) -> Reply:
    """A ticket for a wallet."""
    (ticket_id,) = context.ids
    asked = context.query.language or context.request.headers.get("Accept-Language", "")
    file = await parts.tickets.wallet_pass(context.principal, ticket_id, asked)
    named = header_lines(content_disposition='attachment; filename="ticket.pkpass"')
    return Reply(200, file, named, PASS)


@Operation(
    method="GET",
    path="/api/v1/bookings/{booking_id}/calendar.ics",
    operation_id="getCalendarOfBooking",
    summary="Get a booking for your calendar",
    description="iCalendar (RFC 5545) with one event, from the start to the end of the film.",
    tag=TAG,
    auth="bearer",
    guests=True,
    media_type=MEDIA_TYPE,
    errors=("TICKET_UNPAID", "RETRY"),
)
async def get_calendar(parts: TicketParts, context: RequestContext) -> Reply:
    """A booking as an event."""
    (booking_id,) = context.ids
    file = await parts.tickets.calendar(context.principal, booking_id)
    named = header_lines(content_disposition='attachment; filename="showtime.ics"')
    return Reply(200, file, named, CALENDAR)


@Operation(
    method="POST",
    path="/api/v1/tickets/{ticket_id}/reissue",
    operation_id="reissueTicket",
    summary="Issue a ticket again",
    description="For a lost telephone or a copy in the wrong hands: the ticket gets a new code, "
    "and so does its booking. The codes before are refused with `TICKET_REVOKED`.",
    tag=TAG,
    auth="bearer",
    guests=True,
    response=Ticket,
    response_example=examples.TICKET,
    errors=(
        "TICKET_UNPAID",
        "TICKET_CANCELLED",
        "TICKET_REISSUE_LIMIT",
        "RETRY",
        "OUTCOME_UNKNOWN",
    ),
)
async def reissue_ticket(parts: TicketParts, context: RequestContext) -> Reply:
    """Issue a ticket again."""
    (ticket_id,) = context.ids
    client = parts.door.client(context)
    return success(await parts.tickets.reissue(context.principal, ticket_id, client))


@Operation(
    method="POST",
    path="/api/v1/tickets/{ticket_id}/block",
    operation_id="blockTicket",
    summary="Block a ticket",
    description="Nobody is let in with it until it is unblocked. For staff of its cinema.",
    tag=TAG,
    auth="bearer",
    roles=COUNTER_ROLES,
    request=ReasonInput,
    request_example={"reason": "Stolen."},
    response=Ticket,
    response_example=examples.BLOCKED,
    errors=("TICKET_UNPAID", "TICKET_CANCELLED", "RETRY", "OUTCOME_UNKNOWN"),
)
async def block_ticket(parts: TicketParts, context: RequestContext) -> Reply:
    """Block a ticket."""
    (ticket_id,) = context.ids
    client, reason = parts.door.client(context), context.body.reason
    return success(await parts.tickets.block(context.principal, ticket_id, reason, client))


@Operation(
    method="POST",
    path="/api/v1/tickets/{ticket_id}/unblock",
    operation_id="unblockTicket",
    summary="Unblock a ticket",
    tag=TAG,
    auth="bearer",
    roles=COUNTER_ROLES,
    response=Ticket,
    response_example=examples.TICKET,
    errors=("TICKET_UNPAID", "RETRY", "OUTCOME_UNKNOWN"),
)
async def unblock_ticket(parts: TicketParts, context: RequestContext) -> Reply:
    """Let a ticket in again."""
    (ticket_id,) = context.ids
    client = parts.door.client(context)
    return success(await parts.tickets.unblock(context.principal, ticket_id, client))


ROUTES: Final = (
    list_tickets,
    get_ticket,
    get_svg,
    get_png,
    get_pdf,
    get_pass,
    get_calendar,
    reissue_ticket,
    block_ticket,
    unblock_ticket,
)
