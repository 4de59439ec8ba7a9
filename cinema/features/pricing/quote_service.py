"""What tickets would cost now, and whether a promo code can be used."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID
from zoneinfo import ZoneInfo

from cinema.actors.messages import SeatsSeen
from cinema.domain.pricing.book import Channel, Promo
from cinema.domain.pricing.quotes import quote
from cinema.domain.pricing.rules import ReadyShowtime, ready_showtime
from cinema.domain.pricing.showing import Moment, ShowtimeFacts, local_start
from cinema.domain.pricing.tickets import refused_tickets
from cinema.domain.principal import Principal
from cinema.domain.rejections import refuse
from cinema.domain.seatmap import BOOKED, HELD
from cinema.features.accounts.authority import serves
from cinema.features.concessions.service import ConcessionsService
from cinema.features.pricing.book_service import Books
from cinema.features.pricing.code_service import CodesService
from cinema.features.pricing.promo_store import terms_of
from cinema.features.pricing.rules import (
    for_seats,
    promo_of,
    shown_quote,
    tickets_of,
    tickets_of_hold,
)
from cinema.features.pricing.sale_service import SalesService
from cinema.features.pricing.shapes import (
    PromoCheck,
    Quote,
    QuoteInput,
    ValidPromo,
)
from cinema.features.pricing.store import PricesRepository
from cinema.features.refusals import found, granted
from cinema.features.seats.service import SeatsService


class QuotesService:
    """Use cases of quotes; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        prices: PricesRepository,
        books: Books,
        codes: CodesService,
        seats: SeatsService,
        sales: SalesService,
        concessions: ConcessionsService,
        *,
        now_us: Callable[[], int],
    ) -> None:
        self._prices = prices
        self._codes = codes
        self._seats = seats
        self._sales = sales
        self._concessions = concessions
        self._now_us = now_us
        self._books = books

    async def calculate(self, caller: Principal | None, request: QuoteInput, address: str) -> Quote:
        """What tickets would cost who holds their seats now, or what a hold is booked for.

        It holds nothing. Refuses NOT_FOUND, HOLD_ENDED, PAYMENT_IN_PROGRESS, FORBIDDEN (the counter
        of another cinema), UNKNOWN_SEAT, DUPLICATE_SEAT, UNKNOWN_CATEGORY, VALIDATION_ERROR,
        UNKNOWN_TICKET_TYPE, TICKETS_NOT_ALLOWED, UNKNOWN_PRODUCT, UNKNOWN_PROMO_CODE, RATE_LIMITED
        (of codes), RETRY.
        """
        if request.hold_id is not None:
            return await self._of_hold(caller, request, request.hold_id)
        seen, show = await self._showtime(request.showtime_id)
        channel: Channel = request.channel
        _check_channel(caller, channel, show.facts.cinema_id)
        tickets = tickets_of(request, seen.terms.plan)
        granted(refused_tickets(show.ready, tickets, channel))
        products = await self._concessions.sold(
            request.concessions, UUID(bytes=show.facts.cinema_id), show.ready.book.currency
        )
        promos: tuple[Promo, ...] = ()
        if request.promo_code is not None:
            promo = await self._codes.usable(request.promo_code, show, address)
            promos = (promo_of(promo.code, terms_of(promo)),)
        taken = seen.seats.count(HELD) + seen.seats.count(BOOKED)
        total = len(seen.seats)
        made = quote(show, Moment(self._now_us(), taken, total), tickets, promos, products)
        return shown_quote(request.showtime_id, taken * 100 // total, made)

    async def _of_hold(self, caller: Principal | None, request: QuoteInput, hold_id: UUID) -> Quote:
        """What a hold of the caller is booked for, whatever has changed since it was placed."""
        if caller is None:
            raise refuse("NOT_FOUND")
        seen = await self._seats.held(request.showtime_id.bytes, caller, hold_id.bytes)
        if seen.status == "paying":
            raise refuse("PAYMENT_IN_PROGRESS")
        if seen.status != "active":
            raise refuse("HOLD_ENDED", status=seen.status)
        if seen.price_inputs is None:
            # Its owner is of a build that does not tell. It is replaced in a moment.
            raise refuse("RETRY")
        hold, terms = await self._sales.priced(seen, seen.price_inputs), seen.terms
        _check_channel(caller, request.channel, terms.cinema_id)
        chosen = for_seats(hold.labels, request.tickets, terms.plan)
        types = {label: one.type for label, one in zip(hold.labels, chosen, strict=True)}
        tickets = tickets_of_hold(hold.labels, hold.price_inputs.categories, types)
        granted(refused_tickets(hold.show.ready, tickets, request.channel))
        products = await self._concessions.sold(
            request.concessions, UUID(bytes=terms.cinema_id), terms.currency
        )
        promos: tuple[Promo, ...] = ()
        if request.promo_code is not None:
            promo = await self._codes.usable_for(
                request.promo_code, hold.show, caller.user_id, hold.price_inputs.at_us
            )
            promos = (promo_of(promo.code, terms_of(promo)),)
        made = quote(hold.show, hold.moment, tickets, promos, products)
        taken_percent = hold.price_inputs.taken * 100 // hold.price_inputs.seat_count
        return shown_quote(request.showtime_id, taken_percent, made)

    async def validate(self, request: PromoCheck, address: str) -> ValidPromo:
        """A code that can be used for a showtime now.

        Refuses NOT_FOUND (the showtime), UNKNOWN_PROMO_CODE, RATE_LIMITED.
        """
        _, show = await self._showtime(request.showtime_id)
        promo = await self._codes.usable(request.promo_code, show, address)
        return ValidPromo(
            code=promo.code,
            discount=promo.discount,
            per=promo.per,
            stackable=promo.stackable,
            currency=promo.currency,
            minimum_order=promo.minimum_order,
            valid_until=promo.valid_until,
        )

    async def _showtime(self, showtime_id: UUID) -> tuple[SeatsSeen, ReadyShowtime]:
        of = found(await self._prices.book_of_showtime(showtime_id))
        seen = await self._seats.seats(showtime_id.bytes, None)
        terms = seen.terms
        ready = await self._books.ready(of.cinema_id, of.version)
        facts = ShowtimeFacts(
            movie_id=terms.movie_id,
            cinema_id=terms.cinema_id,
            base_minor=terms.base_price_minor,
            overrides=terms.price_overrides,
            format=of.format,
            starts_at_us=terms.starts_at_us,
            local=local_start(terms.starts_at_us, ZoneInfo(ready.book.time_zone)),
        )
        return seen, ready_showtime(ready, facts)


def _check_channel(caller: Principal | None, channel: Channel, cinema_id: bytes) -> None:
    if channel == "counter" and (caller is None or not serves(caller, UUID(bytes=cinema_id))):
        raise refuse("FORBIDDEN", "Only staff of this cinema sell at its counter.")
