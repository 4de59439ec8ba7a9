"""What a hold is booked for: the quote of its tickets, by its book and at its moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from cinema.actors.messages import HoldSeen
from cinema.domain.pricing.book import Channel, Promo
from cinema.domain.pricing.quotes import OrderedProduct, quote, unit_price
from cinema.domain.pricing.rules import ReadyShowtime, at_moment, ready_showtime
from cinema.domain.pricing.showing import AskedTicket, Moment, ShowtimeFacts, local_start
from cinema.domain.pricing.tariffs import ADULT
from cinema.domain.pricing.tickets import refused_tickets
from cinema.domain.showtime.commands import Sale
from cinema.domain.showtime.prices import PriceInputs
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.features.pricing.book_service import Books
from cinema.features.pricing.rules import sale_of_quote, tickets_of_hold
from cinema.features.refusals import granted

SHOWTIMES_KEPT: Final = 1024
"""Showtimes that are kept ready for quotes, of some kilobytes each beside their books: those of
which seats are booked."""

SALES_KEPT: Final = 16
"""What is kept for each of them: most bookings are for one to four adults of one category."""

SaleKey = tuple[Channel, tuple[tuple[str, str], ...], tuple[str, ...]]


class SaleShowtime(msgspec.Struct, frozen=True):
    """A showtime that is ready for quotes, and what tickets without codes have cost there.

    `sales` is by channel, tickets and the rules that counted: from these a quote follows.
    """

    show: ReadyShowtime
    sales: dict[SaleKey, Sale]


class HoldPriced(msgspec.Struct, frozen=True, kw_only=True):
    """A hold with all that its quote needs; `labels` are those of its seats."""

    showtime: SaleShowtime
    price_inputs: PriceInputs
    labels: tuple[str, ...]

    @property
    def show(self) -> ReadyShowtime:
        """Its showtime."""
        return self.showtime.show

    @property
    def moment(self) -> Moment:
        """When it was placed."""
        return Moment(
            self.price_inputs.at_us, self.price_inputs.taken, self.price_inputs.seat_count
        )


class ListPrices(msgspec.Struct, frozen=True, kw_only=True):
    """Prices in minor units, and the rate of the tax in them, hundredths of a percent."""

    minor: list[int]
    tax_rate: int


class SalesService:
    """Quotes holds, always with the same result: nothing that has changed since counts."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._showtimes: dict[tuple[object, ...], SaleShowtime] = {}

    async def priced(self, seen: HoldSeen, price_inputs: PriceInputs) -> HoldPriced:
        """The hold with its book. Refuses RETRY."""
        labels = seen.terms.plan.labels
        return HoldPriced(
            showtime=await self._ready(seen.terms, price_inputs),
            price_inputs=price_inputs,
            labels=tuple([labels[seat] for seat in seen.group.seats]),
        )

    async def listed(
        self, terms: ShowtimeTerms, price_inputs: PriceInputs, tickets: Sequence[AskedTicket]
    ) -> ListPrices:
        """What each ticket costs by itself, before what goes by the booking. Refuses RETRY.

        A type that the book does not have costs what adults pay.
        """
        show = (await self._ready(terms, price_inputs)).show
        ready = show.ready
        rules = at_moment(
            show, Moment(price_inputs.at_us, price_inputs.taken, price_inputs.seat_count)
        )
        types = [ticket.type if ticket.type in ready.types else ADULT for ticket in tickets]
        pairs = zip(tickets, types, strict=True)
        return ListPrices(
            minor=[unit_price(show, rules, ticket.category, type_) for ticket, type_ in pairs],
            tax_rate=ready.book.tax_rates.get(ready.book.settings.ticket_tax, 0),
        )

    async def _ready(self, terms: ShowtimeTerms, price_inputs: PriceInputs) -> SaleShowtime:
        """The showtime as it was for a hold; versions of books never change, so it is kept."""
        key = (
            *(terms.cinema_id, price_inputs.book_version, terms.currency, terms.time_zone),
            *(price_inputs.movie_id, price_inputs.base_price_minor, price_inputs.price_overrides),
            *(price_inputs.format, price_inputs.starts_at_us),
        )
        ready = self._showtimes.pop(key, None)
        if ready is None:
            ready = SaleShowtime(await self._made_ready(terms, price_inputs), {})
        self._showtimes[key] = ready  # The last one used comes last, and so is kept.
        if len(self._showtimes) > SHOWTIMES_KEPT:
            del self._showtimes[next(iter(self._showtimes))]
        return ready

    async def _made_ready(self, terms: ShowtimeTerms, price_inputs: PriceInputs) -> ReadyShowtime:
        if price_inputs.book_version:
            ready = await self._books.ready(UUID(bytes=terms.cinema_id), price_inputs.book_version)
        else:
            ready = self._books.plain(terms.currency, terms.time_zone)
        facts = ShowtimeFacts(
            movie_id=price_inputs.movie_id,
            cinema_id=terms.cinema_id,
            base_minor=price_inputs.base_price_minor,
            overrides=price_inputs.price_overrides,
            format=price_inputs.format,
            starts_at_us=price_inputs.starts_at_us,
            local=local_start(price_inputs.starts_at_us, ZoneInfo(ready.book.time_zone)),
        )
        return ready_showtime(ready, facts)

    def sale(
        self,
        hold: HoldPriced,
        types: Mapping[str, str],
        channel: Channel,
        promos: tuple[Promo, ...] = (),
        products: tuple[OrderedProduct, ...] = (),
    ) -> Sale:
        """What these tickets and products cost; seats that are not named are for adults.

        Refuses UNKNOWN_TICKET_TYPE, TICKETS_NOT_ALLOWED, PROMO_NOT_APPLICABLE.
        """
        if promos or products:
            return _sale(hold, types, channel, promos, products)
        counting = at_moment(hold.show, hold.moment)
        pairs = zip(hold.price_inputs.categories, hold.labels, strict=True)
        key = (
            channel,
            tuple([(category, types.get(label, ADULT)) for category, label in pairs]),
            tuple([one.ref for group in counting for one in group]),
        )
        sales = hold.showtime.sales
        known = sales.get(key)
        if known is None:
            known = _sale(hold, types, channel, (), ())
            if len(sales) >= SALES_KEPT:
                del sales[next(iter(sales))]
            sales[key] = known
        return msgspec.structs.replace(known, labels=hold.labels)


def _sale(
    hold: HoldPriced,
    types: Mapping[str, str],
    channel: Channel,
    promos: tuple[Promo, ...],
    products: tuple[OrderedProduct, ...],
) -> Sale:
    tickets = tickets_of_hold(hold.labels, hold.price_inputs.categories, types)
    granted(refused_tickets(hold.show.ready, tickets, channel))
    return sale_of_quote(quote(hold.show, hold.moment, tickets, promos, products), hold.labels)
