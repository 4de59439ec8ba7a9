"""What stands in a document: its number, its lines and its taxes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from cinema.domain.money import CURRENCY_DIGITS, Money
from cinema.domain.pricing.amounts import included_tax, shared_out
from cinema.features.invoices.shapes import (
    BookingOfDocument,
    Buyer,
    Document,
    DocumentKind,
    Line,
    PaymentOfDocument,
    Reference,
    Seller,
    ShowtimeOfDocument,
    TaxLine,
)

INVOICE: Final[DocumentKind] = "invoice"
CREDIT_NOTE: Final[DocumentKind] = "credit_note"
CANCELLATION: Final[DocumentKind] = "cancellation"

_MARKS: Final[Mapping[DocumentKind, str]] = {
    INVOICE: "",
    CREDIT_NOTE: "CN",
    CANCELLATION: "CX",
}
"""Each kind is numbered by itself, so its numbers have to look different."""

PRODUCT: Final = "product"
_KINDS: Final[Mapping[str, Literal["fee", "product"]]] = {"fee": "fee", PRODUCT: PRODUCT}

FIRST_BACKOFF_S: Final = 10.0
BACKOFF_LIMIT_S: Final = 900.0
"""After the n-th failure a document waits 10 s · 2ⁿ⁻¹, up to a quarter of an hour, and for ever: a
document may be late, but not missing."""


class CannotIssue(Exception):
    """What is known of a booking does not make this document; somebody has to look."""


class Sold(msgspec.Struct, frozen=True):
    """A seat, a fee or products as they were sold; `instead_of` as in `Line`."""

    kind: str
    seat: str
    category: str
    type: str
    name: str
    gross_minor: int
    rate: int
    instead_of: str = ""


class QuotedLine(msgspec.Struct, frozen=True):
    """What an invoice needs of a line of an order (`features/bookings/rules.py`)."""

    kind: str
    name: str
    amount_minor: int
    rate: int = 0
    gross_minor: int = 0
    quantity: int = 1


class InvoicedSale(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a booking when a document of it is made; `rate` is that of tickets."""

    cinema_id: UUID
    prefix: str
    time_zone: str
    currency: str
    seller: Seller
    buyer: Buyer
    booking: BookingOfDocument
    showtime: ShowtimeOfDocument
    payment: PaymentOfDocument
    language: str
    sold: tuple[Sold, ...]
    rate: int = 0


Counters = dict[tuple[UUID, DocumentKind, int], int]
"""The last number given for each cinema, kind and year."""


SoldAs = Mapping[str, str]
"""The seats for which tickets were sold, by those that they are for now, where these are others."""


class RefundedItems(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an event gave back: seats with what was paid for each; `whole` if none is left.

    `products_minor` of the amount is for products.
    """

    seats: tuple[tuple[str, int], ...]
    amount_minor: int
    whole: bool
    sold_as: SoldAs = {}
    products_minor: int = 0

    def tickets(self) -> frozenset[str]:
        """The seats for which its tickets were sold: documents name these."""
        return frozenset(self.sold_as.get(label, label) for label, _ in self.seats)


class ChosenSeat(msgspec.Struct, frozen=True, array_like=True):
    """A dearer seat that a ticket is for instead of another one, and what it cost more."""

    left: str
    seat: str
    category: str
    type: str
    more_minor: int


class Supplement(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was paid for other seats of a booking. Cheaper ones among them are set off."""

    seats: tuple[ChosenSeat, ...]
    amount_minor: int
    payment_id: UUID
    method: str
    sold_as: SoldAs = {}


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A document that an event asks for; `what` is None for the invoice of a booking.

    `seq` is that of the event, None for an invoice that was found missing.
    """

    showtime_id: UUID
    seq: int | None
    booking_id: UUID
    what: RefundedItems | Supplement | None
    due_at: datetime
    attempts: int = 0


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A document that has no number yet."""

    kind: DocumentKind
    sale: InvoicedSale
    items: tuple[Sold, ...]
    before: Mapping[int, int] = {}
    corrects: Reference | None = None
    supplements: Reference | None = None

    @property
    def total_minor(self) -> int:
        """The sum of its lines."""
        return sum(item.gross_minor for item in self.items)


def sold(
    seats: Sequence[tuple[str, str, str, int]], lines: Sequence[QuotedLine] | None, rate: int
) -> tuple[Sold, ...]:
    """The items of a booking: seats by label, category, type and price, and what is beside them.

    Discounts are in the prices of the seats. `rate` is that of tickets where nothing was quoted.
    """
    beside = [line for line in lines or () if line.kind in {"fee", PRODUCT}]
    if lines is not None:
        rate = _ticket_rate(sum(price for *_, price in seats), lines, beside)
    return (
        *(
            Sold("seat", seat, category, type_, "", price, rate)
            for seat, category, type_, price in seats
        ),
        *(Sold(one.kind, "", "", "", _name(one), one.amount_minor, one.rate) for one in beside),
    )


def _name(line: QuotedLine) -> str:
    """The name of a fee, or of products with how many there are, such as `2 × Popcorn`."""
    return f"{line.quantity} × {line.name}" if line.kind == PRODUCT else line.name


def _ticket_rate(
    price_minor: int, lines: Sequence[QuotedLine], beside: Sequence[QuotedLine]
) -> int:
    """The rate at which tickets were quoted: that of tax on more than what is `beside` them.

    0 if there is none: then they had no tax, or cost nothing.
    """
    taxes = [tax for tax in lines if tax.kind == "tax"] if price_minor else []
    for rate in {tax.rate: None for tax in taxes}:
        gross_minor = sum(tax.gross_minor for tax in taxes if tax.rate == rate)
        of_others = sum(one.amount_minor for one in beside if one.rate == rate)
        if gross_minor - of_others == price_minor:
            return rate
    return 0


def invoice(sale: InvoicedSale) -> Draft:
    """The invoice of a booking: all that was sold with it."""
    return Draft(kind=INVOICE, sale=sale, items=sale.sold)


def supplement(sale: InvoicedSale, more: Supplement, first: Document) -> Draft:
    """The invoice of what was paid for other seats, beside the one of the booking."""
    shares = shared_out(more.amount_minor, [seat.more_minor for seat in more.seats])
    return Draft(
        kind=INVOICE,
        sale=msgspec.structs.replace(
            sale, payment=PaymentOfDocument(id=more.payment_id, method=more.method)
        ),
        items=tuple(
            Sold(
                *("seat", seat.seat, seat.category, seat.type, "", share, sale.rate),
                instead_of=more.sold_as.get(seat.left, seat.left),
            )
            for seat, share in zip(more.seats, shares, strict=True)
        ),
        supplements=_named(first),
    )


def corrections(
    sale: InvoicedSale, refund: RefundedItems, issued: Sequence[Document]
) -> list[Draft]:
    """The documents of a refund, one for each invoice of which it gives something back.

    `issued` are the documents of the booking so far, its invoice first. They are cancellations if
    all invoices are taken back as a whole. No more is given back than is left of them: that is what
    the payment service does too. Raises `CannotIssue` for a seat that was not invoiced.
    """
    invoices = [one for one in issued if one.kind == INVOICE]
    before = {one.id: [other for other in issued if _corrects(other, one)] for one in invoices}
    lines = [(one, line) for one in invoices for line in one.lines]
    left = [amount for one in invoices for amount in _left(one, before[one.id])]
    amount = min(refund.amount_minor, sum(left))
    is_new = len(invoices) == len(issued)
    is_whole = refund.whole and is_new and amount == sum(one.total.amount for one in invoices)
    if not amount and not is_whole:
        return []
    tickets = refund.tickets()
    shares = left
    if not is_whole:
        of_products = min(amount, refund.products_minor)
        shares = _shares(tickets, [line for _, line in lines], left, amount, of_products)
    given = list(zip(lines, shares, strict=True))
    drafts = []
    for one in invoices:
        of_one = [(line, share) for (of, line), share in given if of is one]
        if not is_whole and not any(share for _, share in of_one):
            continue
        drafts.append(
            Draft(
                kind=CANCELLATION if is_whole else CREDIT_NOTE,
                sale=sale,
                items=tuple(
                    _given_back(line, share)
                    for line, share in of_one
                    if share or is_whole or (line.seat and _ticket(line) in tickets)
                ),
                before=_gross_by_rate(before[one.id]),
                corrects=_named(one),
            )
        )
    return drafts


def _named(invoice: Document) -> Reference:
    return Reference(id=invoice.id, number=invoice.number, issued_on=invoice.issued_on)


def _corrects(document: Document, invoice: Document) -> bool:
    return document.corrects is not None and document.corrects.id == invoice.id


def _gross_by_rate(documents: Sequence[Document]) -> dict[int, int]:
    gross: dict[int, int] = {}
    for document in documents:
        for tax in document.taxes:
            gross[tax.rate] = gross.get(tax.rate, 0) + tax.gross.amount
    return gross


def _given_back(line: Line, share: int) -> Sold:
    return Sold(
        *(line.kind, line.seat, line.category, line.type, line.name, share, line.rate),
        instead_of=line.instead_of,
    )


def _ticket(line: Line) -> str:
    """The seat for which the ticket of a line was sold."""
    return line.instead_of or line.seat


def _key(line: Line) -> tuple[str, str, str]:
    return line.kind, line.seat, line.name


def _left(first: Document, others: Sequence[Document]) -> list[int]:
    """What is left of each line of an invoice after its corrections."""
    given: dict[tuple[str, str, str], int] = {}
    for document in others:
        for line in document.lines:
            given[_key(line)] = given.get(_key(line), 0) + line.gross.amount
    left = []
    for line in first.lines:
        # Lines that look alike, as two fees of one name may, are given back one after the other.
        taken = min(line.gross.amount, given.get(_key(line), 0))
        given[_key(line)] = given.get(_key(line), 0) - taken
        left.append(line.gross.amount - taken)
    return left


def _shares(
    tickets: frozenset[str],
    lines: Sequence[Line],
    left: Sequence[int],
    amount: int,
    of_products: int,
) -> list[int]:
    """What each line of the invoices gives back: the named tickets, then the fees, then the rest.

    Within each of these in proportion to what is left of it. `of_products` of the amount is for
    products; with tickets, these give back no more while anything else is left.
    """
    unknown = tickets - {_ticket(line) for line in lines if line.kind == "seat"}
    if unknown:
        raise CannotIssue(f"seats that were not invoiced: {', '.join(sorted(unknown))}")
    shares = [0] * len(left)
    everything = range(len(left))
    named = [at for at in everything if lines[at].seat and _ticket(lines[at]) in tickets]
    fees = [at for at in everything if lines[at].kind == "fee"]
    products = [at for at in everything if lines[at].kind == PRODUCT]
    others = [at for at in everything if lines[at].kind != PRODUCT]

    def share_out(most: int, places: Sequence[int]) -> int:
        """Let places give back at most so much; how much they did."""
        weights = [left[at] - shares[at] for at in places]
        part = min(most, sum(weights))
        for at, share in zip(places, shared_out(part, weights), strict=True):
            shares[at] += share
        return part

    amount -= share_out(of_products, products)
    for places in (named, fees, others, everything) if tickets else (everything,):
        amount -= share_out(amount, places)
    return shares


def number_of(sale: InvoicedSale, kind: DocumentKind, year: int, seq: int) -> str:
    """The number as it is printed, such as `BER-2026-17` or `BER-CN-2026-3`.

    A cinema without a prefix has one made of its id, so that it is never that of another one.
    """
    prefix = sale.prefix.strip("-") or f"C{sale.cinema_id.hex[-8:].upper()}"
    mark = _MARKS[kind]
    return "-".join(part for part in (prefix, mark, str(year), str(seq)) if part)


def day_of(sale: InvoicedSale, at: datetime) -> date:
    """The day at the cinema."""
    return at.astimezone(ZoneInfo(sale.time_zone)).date()


def document(draft: Draft, document_id: UUID, seq: int, at: datetime) -> Document:
    """The document with its number."""
    sale, day = draft.sale, day_of(draft.sale, at)
    lines, taxes = _taxed(draft)
    total, tax = draft.total_minor, sum(one.tax.amount for one in taxes)
    return Document(
        id=document_id,
        kind=draft.kind,
        number=number_of(sale, draft.kind, day.year, seq),
        issued_at=at,
        issued_on=day,
        corrects=draft.corrects,
        supplements=draft.supplements,
        seller=sale.seller,
        buyer=sale.buyer,
        booking=sale.booking,
        showtime=sale.showtime,
        lines=lines,
        taxes=taxes,
        net=Money(total - tax, sale.currency),
        tax=Money(tax, sale.currency),
        total=Money(total, sale.currency),
        currency_digits=CURRENCY_DIGITS[sale.currency],
        payment=sale.payment,
        language=sale.language,
    )


def _taxed(draft: Draft) -> tuple[list[Line], list[TaxLine]]:
    """The lines with their taxes, and the tax of each rate.

    It is rounded once for each rate over the document. What was corrected `before` counts: so the
    taxes of all corrections add up to that of the invoice once all is given back.
    """
    currency = draft.sale.currency

    def money(gross: int, tax: int) -> dict[str, Money]:
        return {
            "gross": Money(gross, currency),
            "net": Money(gross - tax, currency),
            "tax": Money(tax, currency),
        }

    tax_of: list[int] = [0] * len(draft.items)
    taxes = []
    for rate, gross in sorted(_by_rate(draft.items).items(), reverse=True):
        before = draft.before.get(rate, 0)
        tax = included_tax(before + gross, rate) - included_tax(before, rate)
        places = [at for at, item in enumerate(draft.items) if item.rate == rate]
        shares = shared_out(tax, [draft.items[at].gross_minor for at in places])
        for at, share in zip(places, shares, strict=True):
            tax_of[at] = share
        taxes.append(TaxLine(rate=rate, **money(gross, tax)))
    lines = [
        Line(
            kind=_KINDS.get(item.kind, "seat"),
            seat=item.seat,
            category=item.category,
            type=item.type,
            name=item.name,
            rate=item.rate,
            instead_of=item.instead_of,
            **money(item.gross_minor, tax),
        )
        for item, tax in zip(draft.items, tax_of, strict=True)
    ]
    return lines, taxes


def _by_rate(items: Sequence[Sold]) -> dict[int, int]:
    gross: dict[int, int] = {}
    for item in items:
        gross[item.rate] = gross.get(item.rate, 0) + item.gross_minor
    return gross


class MadeDocument(msgspec.Struct, frozen=True):
    """A document with the place of its number, and the event that asked for it, if one did."""

    document: Document
    cinema_id: UUID
    seq: int
    event_seq: int | None


class Desk:
    """Makes the documents of some bookings, with numbers that follow on from `counters`.

    `issued` are the documents that the bookings have, oldest first.
    """

    def __init__(
        self,
        sales: Mapping[UUID, InvoicedSale],
        issued: Mapping[UUID, Sequence[Document]],
        counters: Counters,
        *,
        now: datetime,
        new_id: Callable[[], UUID],
    ) -> None:
        self.made: list[MadeDocument] = []
        self._sales = sales
        self._issued = {booking_id: list(some) for booking_id, some in issued.items()}
        self._before = counters
        self._last = dict(counters)
        self._now = now
        self._new_id = new_id

    @property
    def moved(self) -> dict[tuple[UUID, DocumentKind, int], tuple[int, int]]:
        """The counters that have moved: from where, and to where."""
        return {
            key: (self._before.get(key, 0), last)
            for key, last in self._last.items()
            if last != self._before.get(key, 0)
        }

    def take(self, due: Due) -> None:
        """Make what is due. Raises `CannotIssue` if that is not possible.

        An invoice is made once. A refund or a change of a booking without one, as there are from
        before invoices were made, gets it first: no document is about what does not exist.
        """
        sale = self._sales.get(due.booking_id)
        if sale is None:
            raise CannotIssue("the booking, its showtime or its cinema is not there")
        issued = self._issued.setdefault(due.booking_id, [])
        if not issued:
            issued.append(self._make(invoice(sale), None if due.what else due.seq))
        if isinstance(due.what, Supplement):
            issued.append(self._make(supplement(sale, due.what, issued[0]), due.seq))
        elif due.what is not None:
            made = corrections(sale, due.what, issued)
            issued += [self._make(draft, due.seq) for draft in made]

    def _make(self, draft: Draft, event_seq: int | None) -> Document:
        sale = draft.sale
        key = (sale.cinema_id, draft.kind, day_of(sale, self._now).year)
        seq = self._last.get(key, 0) + 1
        made = document(draft, self._new_id(), seq, self._now)
        # Only now is the number taken: what could not be made takes none.
        self._last[key] = seq
        self.made.append(MadeDocument(made, sale.cinema_id, seq, event_seq))
        return made


def backoff_s(attempts: int) -> float:
    """How long a document waits after this many failures (at least one)."""
    return min(BACKOFF_LIMIT_S, FIRST_BACKOFF_S * 2.0 ** min(attempts - 1, 20))
