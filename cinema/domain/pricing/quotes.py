"""What tickets cost together, with each step that led there.

A quote follows from the book, the facts of the showtime, the moment of the hold, the tickets and
the promo codes, and from nothing else. Whoever keeps the versions of book and showtime with the
three numbers of a moment can make it again, for other types of tickets too.

Price of a seat: base price by the factor of its category (or the price that the showtime gives the
category), plus the surcharge of the format; one rule of each group; floor and ceiling; rounding
step. Each step gives a whole minor unit, halves up, so what is shown can be checked by hand. Then
what goes by the booking as a whole: group discount, promo codes, fees, and the tax that is in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from cinema.domain.pricing.amounts import (
    WHOLE,
    included_tax,
    part_of,
    shared_out,
    to_step,
)
from cinema.domain.pricing.book import Discount, Effect, GroupDiscount, Promo
from cinema.domain.pricing.promos import out_of_place
from cinema.domain.pricing.rules import Candidate, ReadyShowtime, at_moment
from cinema.domain.pricing.showing import AskedTicket, Moment

StepCode = Literal[
    "BASE",
    "CATEGORY",
    "CATEGORY_PRICE",
    "FORMAT",
    "FREE",
    "RULE_TIME",
    "RULE_DEMAND",
    "RULE_TYPE",
    "FLOOR",
    "CEILING",
    "ROUNDING",
    "GROUP_DISCOUNT",
    "PROMO_SEAT",
    "PROMO_BOOKING",
]

_RULE_STEPS: tuple[StepCode, ...] = ("RULE_TIME", "RULE_DEMAND", "RULE_TYPE")  # As `GROUPS`.


class Step(msgspec.Struct, frozen=True, gc=False):
    """One step of a price; `text` is for people, `ref` is the rule, discount or code behind it."""

    code: StepCode
    text: str
    from_minor: int
    to_minor: int
    ref: str = ""


class SeatLine(msgspec.Struct, frozen=True):
    """One seat: `list_minor` before group discount and codes, `price_minor` what it costs."""

    ticket: AskedTicket
    list_minor: int
    price_minor: int
    tax_minor: int
    steps: tuple[Step, ...]


class FeeLine(msgspec.Struct, frozen=True):
    """A fee, for so many tickets or once; `rate` is that of its tax."""

    code: str
    name: str
    quantity: int
    each_minor: int
    amount_minor: int
    refundable: bool
    tax_minor: int
    rate: int = 0


class OrderedProduct(msgspec.Struct, frozen=True):
    """So many of a product that is sold with tickets; `rate` is that of the tax `tax`.

    It says its rate itself: products are sold at today's rates, also with an older book.
    """

    code: str
    name: str
    quantity: int
    each_minor: int
    tax: str = ""
    rate: int = 0


class ProductLine(msgspec.Struct, frozen=True):
    """A product, so many times; no discount counts for it."""

    product: OrderedProduct
    amount_minor: int
    tax_minor: int


class RateTax(msgspec.Struct, frozen=True):
    """The tax in all lines of one rate, rounded once."""

    name: str
    rate: int
    gross_minor: int
    tax_minor: int


class PromoLine(msgspec.Struct, frozen=True):
    """What became of a code: what it took off, or why nothing.

    `refused` is a reason of `out_of_place`, `MINIMUM_ORDER`, or `NOT_STACKABLE`: with another code,
    or because the group discount is worth as much or more.
    """

    code: str
    discount_minor: int
    refused: str = ""


class TicketQuote(msgspec.Struct, frozen=True, kw_only=True):
    """What tickets cost; `total_minor` is the sum of all lines, and contains the taxes."""

    book_version: int
    currency: str
    seats: tuple[SeatLine, ...]
    fees: tuple[FeeLine, ...]
    taxes: tuple[RateTax, ...]
    promos: tuple[PromoLine, ...]
    total_minor: int
    products: tuple[ProductLine, ...] = ()


_Unit = tuple[int, tuple[Step, ...]]


class _QuoteDraft:
    """The seats of a quote while discounts are taken off; `prices` and `steps` go by seat."""

    def __init__(self, units: Sequence[_Unit]) -> None:
        self.prices = [price for price, _ in units]
        self.steps: list[list[Step]] = [[] for _ in units]
        self.promos: list[PromoLine] = []

    def take(self, seat: int, price_minor: int, code: StepCode, text: str, ref: str) -> None:
        before_minor = self.prices[seat]
        if price_minor != before_minor:
            self.prices[seat] = price_minor
            self.steps[seat].append(Step(code, text, before_minor, price_minor, ref))


def quote(
    show: ReadyShowtime,
    moment: Moment,
    tickets: Sequence[AskedTicket],
    promos: Sequence[Promo] = (),
    products: Sequence[OrderedProduct] = (),
) -> TicketQuote:
    """What the tickets cost for whoever holds their seats at a moment, with these codes.

    And the `products` beside them. The types of the tickets must be the book's (`refused_tickets`).
    """
    rules = at_moment(show, moment)
    units: dict[tuple[str, str], _Unit] = {}
    of_seats: list[_Unit] = []
    for ticket in tickets:
        pair = (ticket.category, ticket.type)
        unit = units.get(pair)
        if unit is None:
            unit = units[pair] = _unit(show, rules, *pair)
        of_seats.append(unit)
    draft = _discounted(show, moment, tickets, of_seats, promos)
    return _taxed(show, tickets, of_seats, draft, products)


def unit_price(show: ReadyShowtime, rules: list[list[Candidate]], category: str, type_: str) -> int:
    """What a seat of a category costs for a type, before what goes by the booking.

    `rules` are those of the moment (`at_moment`).
    """
    return _unit(show, rules, category, type_)[0]


def refund_due(paid_minor: int, refunded_minor: int, kept_minor: int) -> int:
    """What goes back when a booking shrinks to seats that cost `kept_minor`, quoted alone.

    Who keeps too few seats for a group discount pays for these what they cost without it. Whatever
    the order, all parts together give back what was paid, and never more.
    """
    return max(0, paid_minor - refunded_minor - kept_minor)


def _unit(show: ReadyShowtime, rules: list[list[Candidate]], category: str, type_: str) -> _Unit:
    """The price of a seat of a category for a type, before what goes by the booking."""
    ready, facts = show.ready, show.facts
    settings = ready.book.settings
    price = facts.base_minor
    steps = [Step("BASE", "Base price", 0, price)]

    def go(to_minor: int, code: StepCode, text: str, ref: str = "") -> None:
        nonlocal price
        steps.append(Step(code, text, price, to_minor, ref))
        price = to_minor

    own = next((amount for name, amount in facts.overrides if name == category), None)
    factor = settings.category_factors.get(category, WHOLE)
    if own is not None:
        go(own, "CATEGORY_PRICE", f"Price of {category} for this showtime")
    elif factor != WHOLE:
        go(part_of(price, factor), "CATEGORY", f"Category {category}")
    surcharge = settings.format_surcharges.get(facts.format, 0)
    if surcharge:
        go(price + surcharge, "FORMAT", f"Format {facts.format}")
    kind = ready.types[type_]
    if kind.free:
        go(0, "FREE", kind.name)
        return price, tuple(steps)
    for code, group in zip(_RULE_STEPS, rules, strict=True):
        for one in group:
            if (one.categories is None or category in one.categories) and (
                one.ticket_types is None or type_ in one.ticket_types
            ):
                rule = one.rule
                go(_effect(price, rule.effect), code, rule.name, one.ref)
                break
    if price < settings.floor:
        go(settings.floor, "FLOOR", "Lowest price")
    if price > ready.ceiling_minor:
        go(ready.ceiling_minor, "CEILING", "Highest price")
    rounded = to_step(price, settings.rounding_step)
    if rounded != price:
        go(rounded, "ROUNDING", "Rounded")
    return price, tuple(steps)


def _effect(price_minor: int, effect: Effect) -> int:
    if effect.kind == "price":
        return max(0, effect.value)
    if effect.kind == "amount":
        return max(0, price_minor + effect.value)
    return max(0, part_of(price_minor, WHOLE + effect.value))


def _less(price_minor: int, discount: Discount) -> int:
    if discount.kind == "amount":
        return max(0, price_minor - discount.value)
    return part_of(price_minor, WHOLE - discount.value)


def _discounted(
    show: ReadyShowtime,
    moment: Moment,
    tickets: Sequence[AskedTicket],
    units: Sequence[_Unit],
    promos: Sequence[Promo],
) -> _QuoteDraft:
    """The seats after group discount and codes; if one excludes the other, what costs less."""
    fitting, refused = [], []
    for promo in promos:
        reason = out_of_place(promo, show.facts, show.ready.book.currency, moment.at_us)
        if reason:
            refused.append(PromoLine(promo.code, 0, reason))
        else:
            fitting.append(promo)
    if len(fitting) > 1:
        apart = [promo for promo in fitting if not promo.stackable]
        refused += [PromoLine(promo.code, 0, "NOT_STACKABLE") for promo in apart]
        fitting = [promo for promo in fitting if promo.stackable]
    group = _group_of(show, tickets)
    alone = fitting[0] if fitting and not fitting[0].stackable else None
    if group is None or alone is None:
        draft = _taken_off(units, group, fitting)
    else:
        draft = _taken_off(units, group, ())
        by_code = _taken_off(units, None, fitting)
        if sum(by_code.prices) < sum(draft.prices):
            draft = by_code
        else:
            reason = by_code.promos[0].refused or "NOT_STACKABLE"
            draft.promos.append(PromoLine(alone.code, 0, reason))
    draft.promos += refused
    return draft


def _group_of(
    show: ReadyShowtime, tickets: Sequence[AskedTicket]
) -> tuple[GroupDiscount, list[int]] | None:
    """The discount for the largest group that the paid tickets make, and its seats."""
    types = show.ready.types
    for one in show.ready.group_discounts:
        seats = [
            at
            for at, ticket in enumerate(tickets)
            if not types[ticket.type].free
            and (not one.ticket_types or ticket.type in one.ticket_types)
        ]
        if len(seats) >= one.tickets_min:
            return one, seats
    return None


def _taken_off(
    units: Sequence[_Unit],
    group: tuple[GroupDiscount, list[int]] | None,
    promos: Sequence[Promo],
) -> _QuoteDraft:
    draft = _QuoteDraft(units)
    if group is not None:
        one, seats = group
        for seat in seats:
            price = _less(draft.prices[seat], one.discount)
            draft.take(seat, price, "GROUP_DISCOUNT", one.name, one.code)
    order_minor = sum(draft.prices)
    # A code for each seat counts before one for the booking; among these, percent before amounts.
    for promo in sorted(
        promos, key=lambda one: (one.per == "booking", one.discount.kind == "amount", one.code)
    ):
        if order_minor < promo.minimum_order:
            draft.promos.append(PromoLine(promo.code, 0, "MINIMUM_ORDER"))
            continue
        before_minor = sum(draft.prices)
        if promo.per == "seat":
            for seat, price in enumerate(draft.prices):
                draft.take(seat, _less(price, promo.discount), "PROMO_SEAT", promo.code, promo.code)
        else:
            off_minor = before_minor - _less(before_minor, promo.discount)
            parts = shared_out(off_minor, draft.prices)
            for seat, part in enumerate(parts):
                price = draft.prices[seat] - part
                draft.take(seat, price, "PROMO_BOOKING", promo.code, promo.code)
        draft.promos.append(PromoLine(promo.code, before_minor - sum(draft.prices)))
    return draft


def _taxed(
    show: ReadyShowtime,
    tickets: Sequence[AskedTicket],
    units: Sequence[_Unit],
    draft: _QuoteDraft,
    products: Sequence[OrderedProduct],
) -> TicketQuote:
    """The quote with its fees, and with the tax of each rate shared out to its lines."""
    ready = show.ready
    book, settings = ready.book, ready.book.settings
    paid = sum(not ready.types[ticket.type].free for ticket in tickets)
    fees = [(fee, paid if fee.per == "ticket" else 1) for fee in (settings.fees if paid else ())]
    amounts = [*draft.prices, *(fee.amount * quantity for fee, quantity in fees)]
    named = [settings.ticket_tax] * len(tickets) + [fee.tax for fee, _ in fees]
    rates = [(name, book.tax_rates.get(name, 0)) if name else None for name in named]
    if products:
        amounts += [product.each_minor * product.quantity for product in products]
        rates += _rates_beside(rates, products)
    taxes = [0] * len(amounts)
    tax_lines = []
    for name, rate in sorted({one for one in rates if one is not None}):
        lines = [at for at, one in enumerate(rates) if one == (name, rate)]
        gross = sum(amounts[at] for at in lines)
        tax = included_tax(gross, rate)
        for at, part in zip(lines, shared_out(tax, [amounts[at] for at in lines]), strict=True):
            taxes[at] = part
        tax_lines.append(RateTax(name, rate, gross, tax))
    seats = len(tickets)
    beside = seats + len(fees)
    return TicketQuote(
        book_version=book.version,
        currency=book.currency,
        seats=tuple(
            SeatLine(ticket, unit[0], draft.prices[at], taxes[at], (*unit[1], *draft.steps[at]))
            for at, (ticket, unit) in enumerate(zip(tickets, units, strict=True))
        ),
        fees=tuple(
            FeeLine(
                fee.code,
                fee.name,
                quantity,
                fee.amount,
                fee.amount * quantity,
                fee.refundable,
                taxes[seats + at],
                book.tax_rates.get(fee.tax, 0),
            )
            for at, (fee, quantity) in enumerate(fees)
        ),
        taxes=tuple(tax_lines),
        promos=tuple(draft.promos),
        total_minor=sum(amounts),
        products=tuple(
            ProductLine(product, amounts[at], taxes[at])
            for at, product in enumerate(products, beside)
        ),
    )


def _rates_beside(
    rates: Sequence[tuple[str, int] | None], products: Sequence[OrderedProduct]
) -> list[tuple[str, int] | None]:
    """The taxes of products: at a rate that is there already under another name, by that name.

    So the tax of a rate is rounded once over the booking, whatever cinemas call it.
    """
    named = {rate: name for name, rate in sorted({one for one in rates if one}, reverse=True)}
    found: list[tuple[str, int] | None] = []
    for product in products:
        if product.tax:
            name = named.setdefault(product.rate, product.tax)
            found.append((name, product.rate))
        else:
            found.append(None)
    return found
