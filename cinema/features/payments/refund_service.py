"""Refunds: what would go back, money that staff give back, and what did not arrive."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.paging import BY_MOMENT, Page, after, page
from cinema.domain.principal import STAFF, Principal
from cinema.domain.rejections import refuse
from cinema.domain.times import from_us, to_us
from cinema.features.accounts.authority import own_cinemas, serves
from cinema.features.accounts.shapes import Client
from cinema.features.accounts.user_store import Act
from cinema.features.bookings.service import BookingsService
from cinema.features.bookings.shapes import Booking
from cinema.features.bookings.store import BookingsRepository, SoldBooking
from cinema.features.cashdesk.shapes import Tendered
from cinema.features.cashdesk.till_store import TillsRepository
from cinema.features.giftcards.service import GiftCardsService
from cinema.features.giftcards.shapes import NewCard
from cinema.features.ledger.refund_rules import ALL, NOTHING, Share, given_back
from cinema.features.ledger.refund_store import Goodwill, RefundsRepository
from cinema.features.ledger.shapes import Refund
from cinema.features.payments.shapes import (
    GivenBack,
    PayOutInput,
    RefundInput,
    RefundQuery,
    RefundQuote,
)
from cinema.features.refusals import found, granted
from cinema.features.seats.service import money

NOTHING_FOR_A_CARD: Final = "Nothing goes back, so there is nothing to put on a gift card."
BEYOND_POLICY: Final = "Only a manager can give back more than the refund policy says."


class RefundsService:
    """Use cases of refunds; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        refunds: RefundsRepository,
        bookings: BookingsRepository,
        selling: BookingsService,
        tills: TillsRepository,
        cards: GiftCardsService,
        *,
        new_id: Callable[[], UUID],
        now: Callable[[], datetime],
    ) -> None:
        self._refunds = refunds
        self._bookings = bookings
        self._selling = selling
        self._tills = tills
        self._cards = cards
        self._new_id = new_id
        self._now = now

    async def quote(
        self, principal: Principal, booking_id: UUID, labels: list[str] | None
    ) -> RefundQuote:
        """What would go back if these seats were given back now, None for all.

        Refuses NOT_FOUND, BOOKING_ENDED, DUPLICATE_SEAT, SEAT_NOT_INCLUDED.
        """
        sale = found(await self._bookings.sale_of(booking_id))
        if UUID(bytes=principal.user_id) not in {sale.user_id, sale.claimed_by}:
            self._require_house(principal, sale)
        return await self._quoted_now(booking_id, sale, labels)

    async def quote_of_order(self, booking_id: UUID, labels: list[str] | None) -> RefundQuote:
        """The same for a booking whose link was checked."""
        sale = found(await self._bookings.sale_of(booking_id))
        return await self._quoted_now(booking_id, sale, labels)

    async def refund(
        self, principal: Principal, request: RefundInput, client: Client, key: IdempotencyKey | None
    ) -> GivenBack:
        """Give seats back for a customer, or money without any: the booking as it is then.

        Staff give back what the policy says, managers also more. Refuses NOT_FOUND, FORBIDDEN,
        PAYMENT_DISPUTED, VALIDATION_ERROR, BOOKING_ENDED, REFUND_TOO_HIGH, and what cancelling
        refuses.
        """
        sale = found(await self._bookings.sale_of(request.booking_id))
        self._require_house(principal, sale)
        if sale.is_disputed:
            raise refuse("PAYMENT_DISPUTED")
        if request.amount is not None and request.amount.currency != sale.currency:
            text = f"The booking was paid in {sale.currency}."
            raise refuse("VALIDATION_ERROR", text, path="$.amount.currency")
        if request.to == "gift_card":
            return await self._to_card(principal, request, sale, client, key)
        if request.amount is not None and request.seats is None:
            return _given(await self._goodwill(principal, request, sale, client, key))
        return _given(await self._seats(principal, request, sale, client, key))

    async def refunds(self, principal: Principal, query: RefundQuery) -> Page[Refund]:
        """Refunds of the caller's cinemas with this status, the oldest first."""
        position = granted(after(query.cursor, BY_MOMENT))
        rows = await self._refunds.list(
            query.status,
            own_cinemas(principal),
            None if position is None else (from_us(position[0]), position[1]),
            query.limit + 1,
        )
        return page(rows, query.limit, lambda one: (to_us(one.created_at), one.id))

    async def try_again(self, principal: Principal, refund_id: UUID, client: Client) -> Refund:
        """Ask for a failed refund again. Refuses NOT_FOUND, REFUND_NOT_FAILED."""
        _, cinema_id = found(await self._refunds.find(refund_id))
        if not serves(principal, cinema_id):
            raise refuse("NOT_FOUND")
        again = await self._refunds.try_again(refund_id, self._act(principal, client))
        if again is None:
            raise refuse("REFUND_NOT_FAILED")
        return again

    async def pay_out(
        self,
        principal: Principal,
        refund_id: UUID,
        request: PayOutInput,
        client: Client,
        key: IdempotencyKey | None,
    ) -> Refund:
        """Hand out a refund that waits at the counter.

        Refuses NOT_FOUND, CASH_SESSION_REQUIRED, NOT_ENOUGH_CASH, REFUND_NOT_AT_COUNTER.
        """
        _, cinema_id = found(await self._refunds.find(refund_id))
        if not serves(principal, cinema_id):
            raise refuse("NOT_FOUND")
        how = Tendered(tender=request.tender, reference=request.reference)
        act = self._act(principal, client)
        return await self._tills.pay_out(refund_id, found(cinema_id), how, act, key)

    async def _seats(
        self,
        principal: Principal,
        request: RefundInput,
        sale: SoldBooking,
        client: Client,
        key: IdempotencyKey | None,
    ) -> Booking:
        """Seats go back; without an amount staff give what the policy says, managers all."""
        share = sale.share_at(self._now())
        if principal.role != STAFF:
            share = ALL
        refund_minor = -1
        if request.amount is not None:
            refund_minor = request.amount.amount
            bound = await self._quoted(request.booking_id, sale, request.seats, share)
            if refund_minor > bound.refund.amount:
                self._require_more(principal)
        # Before the command, so that no crash loses it; a refused one is noted too.
        after = {"seats": request.seats, "amount_minor": refund_minor, "reason": request.reason}
        await self._refunds.note(request.booking_id, after, self._act(principal, client))
        return await self._selling.give_back(
            *(request.booking_id, sale, None, request.seats, key, share, refund_minor),
        )

    async def _to_card(
        self,
        principal: Principal,
        request: RefundInput,
        sale: SoldBooking,
        client: Client,
        key: IdempotencyKey | None,
    ) -> GivenBack:
        """Put money on a new card; then seats, if any, go back without money.

        The card comes first: a crash in between takes nothing from the customer, and a repetition
        under the same key goes on from there.
        """
        card = await self._card_of(request, key)
        if card is None:
            amount_minor = await self._for_card(principal, request, sale)
            goodwill = self._goodwill_of(principal, request, amount_minor, client, key)
            card = await self._cards.give(goodwill)
        if card is None:
            raise self._too_high(sale)
        if request.amount is not None and request.seats is None:
            return _given(found(await self._bookings.find(request.booking_id, None)), card)
        fresh = found(await self._bookings.sale_of(request.booking_id))
        await self._selling.give_back(
            *(request.booking_id, fresh, None, request.seats, key, NOTHING, 0),
        )
        return _given(found(await self._bookings.find(request.booking_id, None)), card)

    async def _card_of(self, request: RefundInput, key: IdempotencyKey | None) -> NewCard | None:
        """The card that this request has made before. Refuses IDEMPOTENCY_MISMATCH."""
        known = None if key is None else await self._refunds.by_key(key.digest)
        if known is None:
            return None
        assert key is not None
        if known[1] != key.fingerprint or known[0].booking_id != request.booking_id:
            raise refuse("IDEMPOTENCY_MISMATCH")
        return await self._cards.of_refund(known[0].id)

    async def _for_card(self, principal: Principal, request: RefundInput, sale: SoldBooking) -> int:
        """How much goes on a card. Refuses as for money that goes back otherwise."""
        share = ALL
        if principal.role == STAFF:
            share = sale.share_at(self._now())
        bound = await self._quoted(request.booking_id, sale, request.seats, share)
        amount_minor = bound.refund.amount
        if request.amount is not None:
            amount_minor = request.amount.amount
            if amount_minor > bound.refund.amount:
                self._require_more(principal)
        if amount_minor <= 0:
            raise refuse("VALIDATION_ERROR", NOTHING_FOR_A_CARD, path="$.to")
        return amount_minor

    async def _goodwill(
        self,
        principal: Principal,
        request: RefundInput,
        sale: SoldBooking,
        client: Client,
        key: IdempotencyKey | None,
    ) -> Booking:
        assert request.amount is not None
        amount_minor = request.amount.amount
        if key is not None and (known := await self._refunds.by_key(key.digest)) is not None:
            if known[1] != key.fingerprint:
                raise refuse("IDEMPOTENCY_MISMATCH")
            return found(await self._bookings.find(request.booking_id, None))
        if principal.role == STAFF:
            quoted = await self._quoted(request.booking_id, sale, None, sale.share_at(self._now()))
            if amount_minor > quoted.refund.amount:
                raise refuse("FORBIDDEN", BEYOND_POLICY)
        goodwill = self._goodwill_of(principal, request, amount_minor, client, key)
        if await self._refunds.give(goodwill) is None:
            raise self._too_high(sale)
        return found(await self._bookings.find(request.booking_id, None))

    def _goodwill_of(
        self,
        principal: Principal,
        request: RefundInput,
        amount_minor: int,
        client: Client,
        key: IdempotencyKey | None,
    ) -> Goodwill:
        return Goodwill(
            id=self._new_id(),
            booking_id=request.booking_id,
            amount_minor=amount_minor,
            reason=request.reason,
            request_key=None if key is None else key.digest,
            fingerprint=None if key is None else key.fingerprint,
            act=self._act(principal, client),
        )

    async def _quoted_now(
        self, booking_id: UUID, sale: SoldBooking, labels: list[str] | None
    ) -> RefundQuote:
        if sale.status not in {"pending", "confirmed"}:
            raise refuse("BOOKING_ENDED")
        return await self._quoted(booking_id, sale, labels, sale.share_at(self._now()))

    async def _quoted(
        self, booking_id: UUID, sale: SoldBooking, labels: list[str] | None, share: Share
    ) -> RefundQuote:
        seats = await self._bookings.live_seats(booking_id) if sale.status == "confirmed" else {}
        wanted = list(seats) if labels is None else labels
        if len(set(wanted)) != len(wanted):
            raise refuse("DUPLICATE_SEAT")
        if missing := [label for label in wanted if label not in seats]:
            raise refuse("SEAT_NOT_INCLUDED", seats=missing)
        price_minor = sum(seats[label].price_minor for label in wanted)
        back_minor = given_back(price_minor, share)
        # Fees go back with the last seat, and products that were not handed out.
        if len(wanted) == len(seats):
            back_minor += sale.fees_minor if share.fees else 0
            back_minor += sale.products_back_minor(share)
            price_minor += sale.products_back_minor(ALL)
        refund_minor = min(back_minor, sale.amount_minor - sale.refunded_minor)
        return RefundQuote(
            booking_id=booking_id,
            seats=wanted,
            price=money(price_minor, sale.currency),
            refund=money(refund_minor, sale.currency),
            kept=money(max(0, price_minor - refund_minor), sale.currency),
            percent=share.of_price_bp // 100,
        )

    def _require_house(self, principal: Principal, sale: SoldBooking) -> None:
        if not serves(principal, sale.cinema_id):
            raise refuse("NOT_FOUND")

    def _require_more(self, principal: Principal) -> None:
        if principal.role == STAFF:
            raise refuse("FORBIDDEN", BEYOND_POLICY)

    def _too_high(self, sale: SoldBooking) -> Exception:
        if sale.status not in {"confirmed", "cancelled"}:
            return refuse("BOOKING_ENDED", "Nobody has paid this booking.")
        # Without seats, nothing goes back of what a gift card has paid beside another method.
        left = money(max(0, sale.own_left_minor), sale.currency)
        return refuse("REFUND_TOO_HIGH", left={"amount": left.amount, "currency": left.currency})

    def _act(self, principal: Principal, client: Client) -> Act:
        return Act(
            by=UUID(bytes=principal.user_id),
            at=self._now(),
            client=client,
            entry_id=self._new_id(),
        )


def _given(booking: Booking, card: NewCard | None = None) -> GivenBack:
    values = {name: getattr(booking, name) for name in Booking.__struct_fields__}
    return GivenBack(**values, gift_card=card)
