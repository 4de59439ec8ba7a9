"""Tickets: listed, printed, issued again, blocked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from cinema.domain.paging import BY_MOMENT, Page, after, page
from cinema.domain.principal import ADMIN, Principal
from cinema.domain.rejections import Refused, refuse
from cinema.domain.times import from_us, to_us
from cinema.features.accounts.authority import COUNTER_ROLES, serves
from cinema.features.accounts.shapes import Client
from cinema.features.accounts.user_store import Act
from cinema.features.invoices.words import ticket as kind_of
from cinema.features.messages.letters import Enclosure
from cinema.features.messages.rules import language_of
from cinema.features.refusals import found, granted
from cinema.features.showtimes.icalendar import MEDIA_TYPE, calendar
from cinema.features.tickets.rules import GROUP, Known, ticket_id
from cinema.features.tickets.shapes import PrintedTicket, PrintedTickets, Ticket, TicketQuery
from cinema.features.tickets.signing import TicketKeys
from cinema.features.tickets.store import Sheet, TicketsRepository, calendar_of
from cinema.features.tickets.words import WORDS
from cinema.integrations.forks import Forks, ForkServer
from cinema.integrations.processes import AnswerTooLong, ProcessesBusy, ProcessTooSlow
from cinema.integrations.wallet import PassContent, WalletPasses

Scope = tuple[UUID | None, Sequence[UUID]]
"""Whose tickets somebody may see, None for all, and of which cinemas."""

EVERYTHING: Final[Scope] = (None, ())

NO_WALLET: Final = "This server makes no tickets for wallets."

PROGRAM: Final = "cinema.features.tickets.printing:prepare"

TIME_LIMIT_S: Final = 30.0
"""How long a PDF may take, a start of the server and a busy machine included."""

AT_ONCE: Final = 2
WAITING_LIMIT: Final = 16
ANSWER_LIMIT_BYTES: Final = 16 << 20
"""Far more than the tickets of the largest booking."""


class TicketsService:
    """Use cases of tickets; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        tickets: TicketsRepository,
        keys: TicketKeys,
        server: ForkServer,
        *,
        new_id: Callable[[], UUID],
        now: Callable[[], datetime],
        time_limit_s: float = TIME_LIMIT_S,
    ) -> None:
        self._tickets = tickets
        self._keys = keys
        self._passes: WalletPasses | None = None
        self._new_id = new_id
        self._now = now
        self._forks = _forks(server, time_limit_s)
        self._for_mails = _forks(server, time_limit_s, patiently=True)

    async def list(self, by: Principal, query: TicketQuery) -> Page[Ticket]:
        """Tickets of the caller, the latest booking first, or those of one booking."""
        position = granted(after(query.cursor, BY_MOMENT))
        last = None if position is None else (from_us(position[0]), position[1])
        if query.booking_id is not None:
            rows = await self._of_booking(by, query.booking_id)
            ids = [row.id for row in rows]
            if last is not None and last[1] in ids:
                rows = rows[ids.index(last[1]) + 1 :]
        else:
            rows = await self._tickets.of_user(
                UUID(bytes=by.user_id),
                upcoming=None if query.when is None else query.when == "upcoming",
                now=self._now(),
                after=last,
                limit=query.limit + 1,
            )
        shown = page(rows, query.limit, lambda one: (to_us(one.booked_at), one.id))
        items = [self.shown(one) for one in shown.items]
        return Page(items=items, next_cursor=shown.next_cursor)

    async def ticket(self, by: Principal, ticket: UUID) -> Ticket:
        """A ticket. Refuses NOT_FOUND, TICKET_UNPAID."""
        return self.shown(await self._issued(by, ticket))

    async def token(self, by: Principal, ticket: UUID, of: str) -> str:
        """The text of a code. Refuses NOT_FOUND, TICKET_UNPAID, TICKET_CANCELLED."""
        known = await self._issued(by, ticket)
        shown = self.shown(known)
        if shown.token is None:
            raise refuse("TICKET_CANCELLED")
        if of == "group":
            return found(shown.group_token, "This booking has one ticket, and no code beside it.")
        return shown.token

    async def pdf(self, by: Principal, booking_id: UUID, language: str) -> bytes:
        """The tickets of a booking as a PDF. Refuses as `token`, and OVERLOADED, RETRY."""
        sheet, rows = await self._sold(booking_id, _scope(by))
        return await self._pdf(sheet, rows, language, self._forks)

    async def _sold(self, booking_id: UUID, scope: Scope) -> tuple[Sheet, Sequence[Known]]:
        """What is printed of a booking. Refuses NOT_FOUND, TICKET_UNPAID."""
        sheet = found(await self._tickets.sheet(booking_id, *scope))
        return sheet, _paid(await self._tickets.of_booking(booking_id, *scope))

    async def _pdf(self, sheet: Sheet, rows: Sequence[Known], language: str, forks: Forks) -> bytes:
        shown = [one for one in map(self.shown, rows) if one.token is not None]
        if not shown:
            raise refuse("TICKET_CANCELLED")
        printed = _printed(sheet, shown, language_of(language or sheet.customer_language))
        try:
            return await forks.answer(msgspec.json.encode(printed))
        except ProcessesBusy:
            raise refuse("OVERLOADED") from None
        except (ProcessTooSlow, AnswerTooLong):
            raise refuse("RETRY") from None

    def offer_passes(self, passes: WalletPasses | None) -> None:
        """Make tickets for wallets by these from now on; None for none."""
        self._passes = passes

    async def wallet_pass(self, by: Principal, ticket: UUID, language: str) -> bytes:
        """A ticket for the wallet of a telephone. Refuses NOT_FOUND also if none are offered.

        And TICKET_UNPAID, TICKET_CANCELLED.
        """
        known, passes = await self._issued(by, ticket), self._passes
        if passes is None:
            raise refuse("NOT_FOUND", NO_WALLET)
        token = self.shown(known).token
        if token is None:
            raise refuse("TICKET_CANCELLED")
        sheet = found(await self._tickets.sheet(known.booking_id, *_scope(by)))
        return passes.make(_pass(sheet, known, token, language or sheet.customer_language))

    async def calendar(self, by: Principal, booking_id: UUID) -> bytes:
        """A booking for the calendar of its customer. Refuses NOT_FOUND, TICKET_UNPAID."""
        return _calendar(booking_id, *await self._sold(booking_id, _scope(by)))

    async def enclosed(self, booking_id: UUID, language: str) -> Sequence[Enclosure]:
        """The files with the mail about a booking; none if it has no tickets.

        Refuses OVERLOADED, RETRY.
        """
        try:
            sheet, rows = await self._sold(booking_id, EVERYTHING)
            pdf = await self._pdf(sheet, rows, language, self._for_mails)
        except Refused as refused:
            if refused.rejection.code in {"NOT_FOUND", "TICKET_UNPAID", "TICKET_CANCELLED"}:
                return ()
            raise
        return (
            Enclosure("tickets.pdf", "application/pdf", pdf),
            Enclosure("showtime.ics", MEDIA_TYPE, _calendar(booking_id, sheet, rows)),
        )

    async def reissue(self, by: Principal, ticket: UUID, client: Client) -> Ticket:
        """A ticket with a new code; the old one, and that of its booking, are worth nothing.

        Refuses NOT_FOUND, TICKET_UNPAID, TICKET_CANCELLED, TICKET_REISSUE_LIMIT.
        """
        known = await self._issued(by, ticket)
        if known.status == "cancelled":
            raise refuse("TICKET_CANCELLED")
        if not await self._tickets.reissue(known, self.act(by, client)):
            raise refuse("TICKET_REISSUE_LIMIT")
        return await self.ticket(by, ticket)

    async def block(self, by: Principal, ticket: UUID, reason: str, client: Client) -> Ticket:
        """Let nobody in with a ticket. Refuses NOT_FOUND, TICKET_UNPAID, TICKET_CANCELLED."""
        known = await self.of_counter(by, ticket)
        if known.status == "cancelled":
            raise refuse("TICKET_CANCELLED")
        await self._tickets.block(known, reason, self.act(by, client))
        return await self.ticket(by, ticket)

    async def unblock(self, by: Principal, ticket: UUID, client: Client) -> Ticket:
        """Let a ticket in again. Refuses NOT_FOUND."""
        known = await self.of_counter(by, ticket)
        await self._tickets.unblock(known, self.act(by, client))
        return await self.ticket(by, ticket)

    async def of_counter(self, by: Principal, ticket: UUID) -> Known:
        """A ticket, for those who work at its cinema. Refuses NOT_FOUND, TICKET_UNPAID."""
        known = await self._issued(by, ticket)
        if not serves(by, known.cinema_id):
            raise refuse("NOT_FOUND")
        return known

    def act(self, by: Principal, client: Client) -> Act:
        """What is done now, for the audit log."""
        return Act(
            by=UUID(bytes=by.user_id), at=self._now(), client=client, entry_id=self._new_id()
        )

    def shown(self, known: Known) -> Ticket:
        """A ticket with its codes."""
        keys, token, group = self._keys, None, None
        if known.status != "cancelled":
            token = keys.token(known.id, known.showtime_id, known.generation)
            if known.seats_live > 1:
                whole = ticket_id(known.booking_id, GROUP)
                group = keys.token(whole, known.showtime_id, known.group_generation)
        return shown_ticket(known, token, group)

    async def _issued(self, by: Principal, ticket: UUID) -> Known:
        known = found(await self._tickets.find(ticket, *_scope(by)))
        return _paid([known])[0]

    async def _of_booking(self, by: Principal, booking_id: UUID) -> Sequence[Known]:
        rows = await self._tickets.of_booking(booking_id, *_scope(by))
        return _paid(rows)


def _calendar(booking_id: UUID, sheet: Sheet, rows: Sequence[Known]) -> bytes:
    seats = ", ".join(one.seat for one in rows if one.live or sheet.status != "confirmed")
    entry = calendar_of(sheet, booking_id, f"{sheet.code}: {seats}")
    return calendar(sheet.film, sheet.time_zone, [entry])


def _forks(server: ForkServer, time_limit_s: float, *, patiently: bool = False) -> Forks:
    return Forks(
        server,
        PROGRAM,
        at_once=AT_ONCE,
        waiting_limit=WAITING_LIMIT,
        time_limit_s=time_limit_s,
        answer_limit_bytes=ANSWER_LIMIT_BYTES,
        patiently=patiently,
    )


def shown_ticket(known: Known, token: str | None, group: str | None) -> Ticket:
    """A ticket as clients see it."""
    return Ticket(
        id=known.id,
        booking_id=known.booking_id,
        showtime_id=known.showtime_id,
        seat=known.seat,
        category=known.category,
        type=known.type,
        status=known.status,
        blocked=known.blocked,
        token=token,
        group_token=group,
        used_at=known.entered_at,
    )


def _paid(rows: Sequence[Known]) -> Sequence[Known]:
    """Tickets of a booking. Refuses NOT_FOUND if there are none, TICKET_UNPAID before its time."""
    if not rows or rows[0].booking_status == "expired":
        raise refuse("NOT_FOUND")
    if rows[0].booking_status == "pending":
        raise refuse("TICKET_UNPAID")
    return rows


def _printed(sheet: Sheet, tickets: Sequence[Ticket], language: str) -> PrintedTickets:
    return PrintedTickets(
        language=language,
        booking_id=tickets[0].booking_id,
        created_at=sheet.created_at,
        code=sheet.code,
        film=sheet.film,
        age_rating=sheet.age_rating,
        cinema=sheet.cinema,
        address=", ".join(one for one in (sheet.address, sheet.city) if one),
        screen=sheet.screen,
        starts=f"{sheet.starts_at.astimezone(ZoneInfo(sheet.time_zone)):%Y-%m-%d %H:%M}",
        about=f"{sheet.format}, {sheet.language}",
        group_token=tickets[0].group_token,
        tickets=[
            PrintedTicket(seat=one.seat, category=one.category, type=one.type, token=one.token)
            for one in tickets
            if one.token is not None
        ],
    )


def _pass(sheet: Sheet, known: Known, token: str, accepted: str) -> PassContent:
    language = language_of(accepted)
    return PassContent(
        serial=str(known.id),
        code=token,
        booking_code=sheet.code,
        film=sheet.film,
        cinema=sheet.cinema,
        address=", ".join(one for one in (sheet.address, sheet.city) if one),
        screen=sheet.screen,
        seat=known.seat,
        ticket=kind_of(known.type, "", language),
        starts_at=sheet.starts_at,
        useless_from=known.closes_at,
        words=WORDS[language],
    )


def _scope(principal: Principal) -> Scope:
    owner = None if principal.role == ADMIN else UUID(bytes=principal.user_id)
    cinema_ids = principal.cinema_ids if principal.role in COUNTER_ROLES else ()
    return owner, [UUID(bytes=one) for one in cinema_ids]
