"""Documents: the invoice of a payment, and all documents of a booking or a cinema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec

from cinema.domain.paging import BY_MOMENT, Page, PageQuery, after, page
from cinema.domain.principal import Principal
from cinema.domain.rejections import refuse
from cinema.domain.times import from_us, to_us
from cinema.features.accounts.authority import require_own_cinema, sight_of
from cinema.features.invoices.shapes import DocumentEntry, DocumentQuery
from cinema.features.invoices.store import Invoiced, InvoicesRepository
from cinema.features.messages.letters import Enclosure
from cinema.features.messages.rules import language_of
from cinema.features.refusals import found, granted
from cinema.integrations.forks import Forks, ForkServer
from cinema.integrations.processes import AnswerTooLong, ProcessesBusy, ProcessTooSlow

PROGRAM: Final = "cinema.features.invoices.printing:prepare"

TIME_LIMIT_S: Final = 30.0
"""How long a PDF may take, a start of the server and a busy machine included."""

AT_ONCE: Final = 2
"""Processes at a time: PDFs must leave processors to the seats."""

WAITING_LIMIT: Final = 16
"""PDFs that wait for a process, some ten seconds' work; documents are a few kilobytes."""

ANSWER_LIMIT_BYTES: Final = 4 << 20
"""Far more than the PDF of the largest booking."""


class InvoicesService:
    """Use cases of documents; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        invoices: InvoicesRepository,
        server: ForkServer,
        *,
        time_limit_s: float = TIME_LIMIT_S,
        program: str = PROGRAM,
    ) -> None:
        self._invoices = invoices
        self._forks = _forks(server, program, time_limit_s)
        self._for_mails = _forks(server, program, time_limit_s, patiently=True)

    async def of_payment(self, principal: Principal, payment_id: UUID) -> bytes:
        """The invoice of a payment's booking, as it was issued. Refuses INVOICE_NOT_READY."""
        return _issued(found(await self._invoices.of_payment(payment_id, *sight_of(principal))))

    async def of_order(self, booking_id: UUID) -> bytes:
        """The invoice of a booking, for a caller who has shown the link to it.

        Refuses INVOICE_NOT_READY.
        """
        return _issued(found(await self._invoices.of_order(booking_id)))

    async def document(self, principal: Principal, document_id: UUID) -> bytes:
        """A document as it was issued, for those who may see its booking."""
        return found(await self._invoices.find(document_id, *sight_of(principal)))

    async def pdf(self, content: bytes, language: str) -> bytes:
        """A document as a PDF. Refuses OVERLOADED, RETRY.

        It is in the first language of `language` (an `Accept-Language`) that there is, or in that
        of the customer.
        """
        return await _printed(self._forks, content, language)

    async def enclosed(self, booking_id: UUID, language: str) -> Sequence[Enclosure]:
        """The file with the receipt of a booking. Refuses INVOICE_NOT_READY, OVERLOADED, RETRY."""
        pdf = await _printed(self._for_mails, await self.of_order(booking_id), language)
        return (Enclosure("invoice.pdf", "application/pdf", pdf),)

    async def of_booking(
        self, principal: Principal, booking_id: UUID, query: PageQuery
    ) -> Page[DocumentEntry]:
        """The documents of a booking, oldest first."""
        position = granted(after(query.cursor, BY_MOMENT))
        rows = await self._invoices.of_booking(
            booking_id,
            *sight_of(principal),
            after=UUID(int=0) if position is None else position[1],
            limit=query.limit + 1,
        )
        return page(found(rows), query.limit, _by_moment)

    async def of_cinema(
        self, principal: Principal, cinema_id: UUID, query: DocumentQuery
    ) -> Page[DocumentEntry]:
        """The documents of a cinema, newest first, for its managers."""
        require_own_cinema(principal, cinema_id)
        position = granted(after(query.cursor, BY_MOMENT))
        rows = await self._invoices.of_cinema(
            cinema_id,
            kind=query.kind,
            number=query.number,
            first=query.date_from,
            last=query.date_to,
            after=None if position is None else (from_us(position[0]), position[1]),
            limit=query.limit + 1,
        )
        return page(rows, query.limit, _by_moment)


def _issued(known: Invoiced) -> bytes:
    """An invoice as it was issued. Refuses INVOICE_NOT_READY."""
    if known.content is not None:
        return known.content
    if known.status == "confirmed":
        raise refuse("INVOICE_NOT_READY", booking_status=known.status)
    raise refuse(
        "INVOICE_NOT_READY",
        "Only a booking that was paid has an invoice, a minute later at most: pay it first, "
        "or book again if it has ended.",
        booking_status=known.status,
    )


def _forks(
    server: ForkServer, program: str, time_limit_s: float, *, patiently: bool = False
) -> Forks:
    return Forks(
        server,
        program,
        at_once=AT_ONCE,
        waiting_limit=WAITING_LIMIT,
        time_limit_s=time_limit_s,
        answer_limit_bytes=ANSWER_LIMIT_BYTES,
        patiently=patiently,
    )


async def _printed(forks: Forks, content: bytes, language: str) -> bytes:
    """A document as a PDF. Refuses OVERLOADED, RETRY."""
    chosen = language_of(language or msgspec.json.decode(content, type=_InLanguage).language)
    try:
        return await forks.answer(b"%b\n%b" % (chosen.encode(), content))
    except ProcessesBusy:
        raise refuse("OVERLOADED") from None
    except (ProcessTooSlow, AnswerTooLong):
        raise refuse("RETRY") from None


class _InLanguage(msgspec.Struct):
    language: str


def shown(content: bytes) -> msgspec.Raw:
    """A document in an answer: the very text that was stored."""
    return msgspec.Raw(content)


def _by_moment(entry: DocumentEntry) -> tuple[int, UUID]:
    return to_us(entry.issued_at), entry.id
