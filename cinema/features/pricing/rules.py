"""What a price book and a promo code must not say, and what a quote looks like to a client."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from uuid import UUID

from cinema.domain.money import Money
from cinema.domain.pricing.book import BookSettings, Conditions, Effect, Promo
from cinema.domain.pricing.quotes import TicketQuote as Made
from cinema.domain.pricing.showing import AskedTicket
from cinema.domain.pricing.tariffs import ADULT
from cinema.domain.rejections import Refused, refuse
from cinema.domain.seatmap import SeatPlan
from cinema.domain.showtime.commands import Sale
from cinema.domain.showtime.events import OrderLine
from cinema.domain.times import to_us
from cinema.features.pricing.shapes import (
    PriceStep,
    PromoTerms,
    Quote,
    QuotedFee,
    QuotedProduct,
    QuotedPromo,
    QuotedSeat,
    QuotedTax,
    QuoteInput,
    RuleFields,
    TicketChoice,
)


def _invalid(path: str, text: str) -> Refused:
    return refuse("VALIDATION_ERROR", text, path=path)


# --- settings


def check_settings(settings: BookSettings, tax_rates: Mapping[str, int]) -> None:
    """Refuses VALIDATION_ERROR for settings that contradict themselves, or the cinema's taxes."""
    codes = _check_types(settings)
    for at, one in enumerate(settings.group_discounts):
        unknown = [code for code in one.ticket_types if code not in codes]
        if unknown:
            path = f"$.group_discounts[{at}].ticket_types"
            raise _invalid(path, f"There is no ticket type {unknown[0]!r}.")
    _check_once((one.code for one in settings.group_discounts), "$.group_discounts")
    _check_once((one.code for one in settings.fees), "$.fees")
    if settings.floor % settings.rounding_step:
        raise _invalid("$.floor", "The floor is not a multiple of the rounding step.")
    if settings.ceiling is not None:
        if settings.ceiling % settings.rounding_step:
            raise _invalid("$.ceiling", "The ceiling is not a multiple of the rounding step.")
        if settings.ceiling < settings.floor:
            raise _invalid("$.ceiling", "The ceiling is below the floor.")
    named = [("$.ticket_tax", settings.ticket_tax)]
    named += [(f"$.fees[{at}].tax", fee.tax) for at, fee in enumerate(settings.fees)]
    for path, name in named:
        if name and name not in tax_rates:
            rates = ", ".join(sorted(tax_rates)) or "none"
            raise _invalid(path, f"This cinema has no such tax rate; it has: {rates}.")


def _check_types(settings: BookSettings) -> set[str]:
    codes = [one.code for one in settings.ticket_types]
    _check_once(codes, "$.ticket_types")
    adult = next((one for one in settings.ticket_types if one.code == ADULT), None)
    if adult is None or adult.free or adult.needs_paying or adult.minimum > 1:
        text = f"There has to be a type {ADULT!r} that anybody can buy: it is the default."
        raise _invalid("$.ticket_types", text)
    for at, one in enumerate(settings.ticket_types):
        if one.maximum < one.minimum:
            raise _invalid(f"$.ticket_types[{at}].maximum", "The maximum is below the minimum.")
        if len(set(one.channels)) < len(one.channels):
            raise _invalid(f"$.ticket_types[{at}].channels", "A channel occurs twice.")
    return set(codes)


def _check_once(codes: Iterable[str], path: str) -> None:
    twice = [code for code, count in Counter(codes).items() if count > 1]
    if twice:
        raise _invalid(path, f"The code {twice[0]!r} occurs twice.")


# --- rules


def check_rule(rule: RuleFields) -> None:
    """Refuses VALIDATION_ERROR for a rule that can never count, or is in the wrong group."""
    when = rule.when
    _check_conditions(when)
    if rule.group == "demand" and when.taken_min is None and when.taken_max is None:
        raise _invalid("$.when", "A rule of demand needs `taken_min` or `taken_max`.")
    if rule.group == "type" and not when.ticket_types:
        raise _invalid("$.when.ticket_types", "A rule of type needs ticket types.")
    _check_effect(rule.effect)


def _check_conditions(when: Conditions) -> None:
    if when.starts_from is not None and when.starts_from == when.starts_until:
        raise _invalid("$.when.starts_until", "This is the same time as `starts_from`.")
    for at, days in enumerate(when.days):
        if days.last < days.first:
            raise _invalid(f"$.when.days[{at}].last", "The last day is before the first.")
    pairs = (
        ("hours_before_max", when.hours_before_min, when.hours_before_max),
        ("taken_max", when.taken_min, when.taken_max),
    )
    for name, low, high in pairs:
        if high is not None and high <= (low or 0):
            raise _invalid(f"$.when.{name}", "This has to be above the lower bound.")


def _check_effect(effect: Effect) -> None:
    if effect.kind == "price" and effect.value < 0:
        raise _invalid("$.effect.value", "A price is not below 0.")
    if effect.kind == "percent" and not -10_000 <= effect.value <= 100_000:
        text = "A percentage is from -10000 to 100000 hundredths of a percent."
        raise _invalid("$.effect.value", text)


# --- promo codes


def promo_key(text: str) -> str:
    """A code as it is looked up: in upper case, without spaces around it."""
    return text.strip().upper()


def check_promo(terms: PromoTerms) -> None:
    """Refuses VALIDATION_ERROR for a code that can never be used, or has no currency."""
    amounts = terms.discount.kind == "amount" or terms.minimum_order
    if amounts and terms.currency is None:
        raise _invalid("$.currency", "Amounts need a currency.")
    if terms.currency is not None:
        try:
            Money(0, terms.currency)
        except ValueError:
            raise _invalid("$.currency", "This is not an ISO 4217 currency.") from None
    if (
        terms.valid_from is not None
        and terms.valid_until is not None
        and terms.valid_until <= terms.valid_from
    ):
        raise _invalid("$.valid_until", "The end is not after the beginning.")


def promo_of(code: str, terms: PromoTerms) -> Promo:
    """A code as quotes use it."""
    return Promo(
        code=code,
        discount=terms.discount,
        per=terms.per,
        stackable=terms.stackable,
        minimum_order=terms.minimum_order,
        currency=terms.currency,
        valid_from_us=None if terms.valid_from is None else to_us(terms.valid_from),
        valid_until_us=None if terms.valid_until is None else to_us(terms.valid_until),
        movie_ids=tuple(terms.movie_ids),
        cinema_ids=tuple(terms.cinema_ids),
        weekdays=tuple(terms.weekdays),
    )


# --- quotes


def tickets_of(request: QuoteInput, plan: SeatPlan) -> list[AskedTicket]:
    """The tickets that are asked for, each with its category.

    Refuses UNKNOWN_SEAT, DUPLICATE_SEAT, UNKNOWN_CATEGORY, VALIDATION_ERROR.
    """
    if request.seats is not None:
        return for_seats(request.seats, request.tickets, plan)
    category = plan.categories[0] if request.category is None else request.category
    if category not in plan.categories:
        raise refuse("UNKNOWN_CATEGORY", category=category, categories=sorted(plan.categories))
    types: list[str] = []
    for at, one in enumerate(request.tickets):
        if one.seat is not None:
            raise _invalid(f"$.tickets[{at}].seat", "Name the seat in `seats` too.")
        types += [one.type] * one.quantity
    quantity = request.quantity or 0
    if len(types) > quantity:
        raise _invalid("$.tickets", "There are more tickets than seats.")
    types += [ADULT] * (quantity - len(types))
    return [AskedTicket(category, one) for one in types]


def for_seats(
    labels: Sequence[str], choices: Sequence[TicketChoice], plan: SeatPlan
) -> list[AskedTicket]:
    """A ticket for each of these seats.

    Refuses UNKNOWN_SEAT, DUPLICATE_SEAT, VALIDATION_ERROR.
    """
    unknown = [label for label in labels if label not in plan.index]
    if unknown:
        raise refuse("UNKNOWN_SEAT", seats=unknown)
    _check_seats_once(labels)
    named = [one.seat for one in choices if one.seat is not None]
    _check_seats_once(named)
    types: dict[str, str] = {}
    others: list[str] = []
    for at, one in enumerate(choices):
        if one.seat is None:
            others += [one.type] * one.quantity
        elif one.seat not in labels:
            raise _invalid(f"$.tickets[{at}].seat", "This seat is not one of `seats`.")
        elif one.quantity > 1:
            raise _invalid(f"$.tickets[{at}].quantity", "A seat has one ticket.")
        else:
            types[one.seat] = one.type
    free = [label for label in labels if label not in types]
    if len(others) > len(free):
        raise _invalid("$.tickets", "There are more tickets than seats.")
    types |= dict(zip(free, others, strict=False))
    return [
        AskedTicket(
            plan.categories[plan.category_of[plan.index[label]]], types.get(label, ADULT), label
        )
        for label in labels
    ]


def _check_seats_once(labels: Sequence[str]) -> None:
    twice = sorted(label for label, count in Counter(labels).items() if count > 1)
    if twice:
        raise refuse("DUPLICATE_SEAT", seats=twice)


def shown_quote(showtime_id: UUID, taken_percent: int, made: Made) -> Quote:
    """A quote in the shape that clients see."""

    def money(amount_minor: int) -> Money:
        return Money(amount_minor, made.currency)

    promo = next(iter(made.promos), None)
    return Quote(
        showtime_id=showtime_id,
        book_version=made.book_version,
        taken_percent=taken_percent,
        seats=[
            QuotedSeat(
                seat=line.ticket.seat or None,
                category=line.ticket.category,
                type=line.ticket.type,
                list_price=money(line.list_minor),
                price=money(line.price_minor),
                tax=money(line.tax_minor),
                steps=[
                    PriceStep(
                        step.code,
                        step.text,
                        money(step.from_minor),
                        money(step.to_minor),
                        step.ref or None,
                    )
                    for step in line.steps
                ],
            )
            for line in made.seats
        ],
        fees=[
            QuotedFee(
                code=fee.code,
                name=fee.name,
                quantity=fee.quantity,
                each=money(fee.each_minor),
                amount=money(fee.amount_minor),
                refundable=fee.refundable,
                tax=money(fee.tax_minor),
            )
            for fee in made.fees
        ],
        taxes=[
            QuotedTax(
                name=line.name,
                rate=line.rate,
                gross=money(line.gross_minor),
                net=money(line.gross_minor - line.tax_minor),
                tax=money(line.tax_minor),
            )
            for line in made.taxes
        ],
        promo=None
        if promo is None
        else QuotedPromo(
            code=promo.code,
            applied=not promo.refused,
            discount=money(promo.discount_minor),
            reason=promo.refused or None,
        ),
        total=money(made.total_minor),
        concessions=[
            QuotedProduct(
                product_id=UUID(line.product.code),
                name=line.product.name,
                quantity=line.product.quantity,
                each=money(line.product.each_minor),
                amount=money(line.amount_minor),
                tax=money(line.tax_minor),
            )
            for line in made.products
        ],
    )


# --- sales


def types_of(
    choices: Sequence[tuple[str, str]], labels: Sequence[str], plan: SeatPlan
) -> dict[str, str]:
    """The types of tickets by seat, of a hold of these labels.

    Refuses UNKNOWN_SEAT, DUPLICATE_SEAT, SEAT_NOT_INCLUDED.
    """
    named = [seat for seat, _ in choices]
    unknown = [seat for seat in named if seat not in plan.index]
    if unknown:
        raise refuse("UNKNOWN_SEAT", seats=unknown)
    _check_seats_once(named)
    others = [seat for seat in named if seat not in labels]
    if others:
        raise refuse("SEAT_NOT_INCLUDED", seats=others)
    return dict(choices)


def tickets_of_hold(
    labels: Sequence[str], categories: Sequence[str], types: Mapping[str, str]
) -> list[AskedTicket]:
    """The tickets of a hold, in the order of its seats; those that are not named are for adults."""
    return [
        AskedTicket(category, types.get(label, ADULT), label)
        for label, category in zip(labels, categories, strict=True)
    ]


def sale_of_quote(made: Made, labels: tuple[str, ...]) -> Sale:
    """A quote as the showtime keeps it. Refuses PROMO_NOT_APPLICABLE.

    A code that gives way to a group discount is not used; one whose minimum is missed is refused,
    because who has typed it expects another price.
    """
    used = ""
    for promo in made.promos:
        if not promo.refused:
            used = promo.code
        elif promo.refused != "NOT_STACKABLE":
            raise refuse("PROMO_NOT_APPLICABLE", reason=promo.refused)
    types = tuple([line.ticket.type for line in made.seats])
    taxes = tuple([line.tax_minor for line in made.seats])
    fees_tax_minor = sum(fee.tax_minor for fee in made.fees)
    products_minor = sum(line.amount_minor for line in made.products)
    return Sale(
        book_version=made.book_version,
        labels=labels,
        types=() if set(types) <= {ADULT} else types,
        prices=tuple([line.price_minor for line in made.seats]),
        taxes=taxes if any(taxes) else (),
        fees_minor=sum(fee.amount_minor for fee in made.fees) + products_minor,
        tax_minor=sum(taxes) + fees_tax_minor + sum(line.tax_minor for line in made.products),
        fees_tax_minor=fees_tax_minor + products_minor,
        lines=tuple(_lines(made)),
        promo_code=used,
    )


def _lines(made: Made) -> Iterator[OrderLine]:
    off: dict[tuple[str, str], tuple[int, int]] = {}
    for line in made.seats:
        for step in line.steps:
            if step.code == "GROUP_DISCOUNT":
                taken, seats = off.get((step.ref, step.text), (0, 0))
                less = step.to_minor - step.from_minor
                off[step.ref, step.text] = (taken + less, seats + 1)
    for (code, name), (amount_minor, seats) in off.items():
        yield OrderLine("group_discount", code, name, amount_minor, seats)
    for promo in made.promos:
        if not promo.refused:
            yield OrderLine("promo", promo.code, promo.code, -promo.discount_minor)
    for fee in made.fees:
        yield OrderLine(
            *("fee", fee.code, fee.name, fee.amount_minor, fee.quantity),
            refundable=fee.refundable,
            rate=fee.rate,
            tax_minor=fee.tax_minor,
        )
    for sold in made.products:
        product = sold.product
        yield OrderLine(
            *("product", product.code, product.name, sold.amount_minor, product.quantity),
            rate=product.rate if product.tax else 0,
            tax_minor=sold.tax_minor,
        )
    for tax in made.taxes:
        yield OrderLine(
            *("tax", tax.name, tax.name, tax.tax_minor), rate=tax.rate, gross_minor=tax.gross_minor
        )
