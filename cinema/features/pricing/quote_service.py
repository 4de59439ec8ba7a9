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
from cinema.features.pricing.rules import promo_of, shown_quote, tickets_of
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
        concessions: ConcessionsService,
        *,
        now_us: Callable[[], int],
    ) -> None:
        self._prices = prices
        self._codes = codes
        self._seats = seats
        self._concessions = concessions
        self._now_us = now_us
        self._books = books

    async def calculate(self, caller: Principal | None, request: QuoteInput, address: str) -> Quote:
        """What tickets would cost who holds their seats now; it holds nothing.

        Refuses NOT_FOUND, FORBIDDEN (the counter of another cinema), UNKNOWN_SEAT, DUPLICATE_SEAT,
        UNKNOWN_CATEGORY, VALIDATION_ERROR, UNKNOWN_TICKET_TYPE, TICKETS_NOT_ALLOWED,
        UNKNOWN_PRODUCT, UNKNOWN_PROMO_CODE, RATE_LIMITED (of codes).
        """
        seen, show = await self._showtime(request.showtime_id)
        channel: Channel = request.channel
        if channel == "counter" and (
            caller is None or not serves(caller, UUID(bytes=show.facts.cinema_id))
        ):
            raise refuse("FORBIDDEN", "Only staff of this cinema sell at its counter.")
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
