"""Gift cards that customers buy by themselves: ordered, paid, sent, given back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import structlog

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.money import Money
from cinema.domain.paging import BY_TEXT, Page, after, page
from cinema.domain.principal import ADMIN, MANAGER, Principal
from cinema.domain.rejections import Refused, refuse
from cinema.features.accounts.authority import require_own_cinema, serves
from cinema.features.accounts.shapes import Client
from cinema.features.accounts.throttles import Throttles
from cinema.features.accounts.user_store import Act
from cinema.features.giftcards.order_rules import (
    LOOK_AFTER,
    LOOK_EVERY,
    OPEN_FOR,
    REFUNDABLE_FOR,
    check_amount,
    deliver_at,
    tidied,
    wait_after,
)
from cinema.features.giftcards.order_store import CardOrdersRepository, StoredOrder
from cinema.features.giftcards.return_store import CardReturnsRepository
from cinema.features.giftcards.rules import shown_code
from cinema.features.giftcards.service import GiftCardsService
from cinema.features.giftcards.shapes import (
    CardOrder,
    CardOrderInput,
    CardOrderQuery,
    OrderedCard,
    PaymentOfOrder,
    Recipient,
)
from cinema.features.ledger.methods import (
    Attempt,
    MethodRegistry,
    Progress,
    RefundOrder,
    RefundProgress,
)
from cinema.features.ledger.refund_rules import Undone
from cinema.features.refusals import found, granted
from cinema.telemetry.logging import LogLimit

GIFT_CARD_REFUND_FAILED: Final = "gift_card_refund_failed"
GIFT_CARD_ORDER_DELAYED: Final = "gift_card_order_delayed"
GIFT_CARD_PAYMENT_DISPUTED: Final = "gift_card_payment_disputed"

LEASE: Final = timedelta(seconds=120)
"""How long an order belongs to one node; calls of providers have shorter timeouts."""

REFUND_PENDING: Final = timedelta(minutes=1)
"""Time until a provider that works on a refund is asked again."""

MANAGERS: Final = frozenset({MANAGER, ADMIN})

NOT_PAID_YET: Final = "The payment of this order is being decided: ask again in a minute."

log = structlog.get_logger(__name__)


class CardOrdersService:
    """Use cases of orders; each refuses with a code of `docs/errors.md`.

    An order is its own attempt to pay, by a method of the registry that knows no booking. Whoever
    hears that its money has come (the request, a webhook, the queue) tells `settle`: the first one
    makes the card.
    """

    def __init__(
        self,
        orders: CardOrdersRepository,
        returns: CardReturnsRepository,
        cards: GiftCardsService,
        methods: MethodRegistry,
        throttles: Throttles,
        *,
        most_minor: int,
        new_id: Callable[[], UUID],
        now: Callable[[], datetime],
    ) -> None:
        self._orders = orders
        self._returns = returns
        self._cards = cards
        self._methods = methods
        self._throttles = throttles
        self._most_minor = most_minor
        self._new_id = new_id
        self._now = now
        self._limit = LogLimit()

    # --- for customers

    async def place(
        self, by: Principal, request: CardOrderInput, client: Client, key: IdempotencyKey | None
    ) -> CardOrder:
        """Order a card and begin to pay it.

        Refuses RATE_LIMITED, VALIDATION_ERROR, UNKNOWN_REFERENCE, UNKNOWN_PAYMENT_METHOD,
        PAYMENT_FAILED, and RETRY: then the order can be paid by `pay`, or the request repeated.
        """
        await self._throttles.count_card_order(by.user_id, client.address)
        self._methods.get(request.payment.method)
        tidy, now = tidied(request), self._now()

        def check(currency: str, zone: str) -> datetime:
            check_amount(tidy.amount, currency, self._most_minor)
            return deliver_at(tidy.deliver_on, zone, now)

        order_id = await self._orders.add(
            *(self._new_id(), UUID(bytes=by.user_id), tidy, check),
            due_at=now + LOOK_AFTER,
            now=now,
            key=key,
        )
        return await self.pay(by, order_id)

    async def pay(self, by: Principal, order_id: UUID) -> CardOrder:
        """Begin to pay an order, or go on with that; one that has ended is answered as it is.

        Refuses NOT_FOUND, PAYMENT_FAILED, RETRY.
        """
        order = await self._own(by, order_id)
        if order.status != "open":
            return await self._shown(by, order)
        progress = await self._methods.get(order.method).start(_attempt(order))
        await self._note(order, progress)
        if progress.status == "failed":
            raise refuse("PAYMENT_FAILED", reason=progress.error_code)
        return await self._shown(by, await self._own(by, order_id), progress.client_secret)

    async def order(self, by: Principal, order_id: UUID) -> CardOrder:
        """One order, for its buyer and managers of its cinema. Refuses NOT_FOUND."""
        return await self._shown(by, await self._visible(by, order_id))

    async def orders(self, by: Principal, query: CardOrderQuery) -> Page[CardOrder]:
        """The caller's orders, or those at a cinema, the newest first. Refuses FORBIDDEN."""
        position = granted(after(query.cursor, BY_TEXT))
        before = None if position is None else position[1]
        limit = query.limit + 1
        if query.cinema_id is None:
            own = UUID(bytes=by.user_id)
            rows = await self._orders.of_buyer(own, before, query.status, limit)
        else:
            if by.role not in MANAGERS:
                raise refuse("FORBIDDEN", "Only managers see the orders at a cinema.")
            require_own_cinema(by, query.cinema_id)
            rows = await self._orders.of_cinema(query.cinema_id, before, query.status, limit)
        shown = [await self._shown(by, order) for order in rows]
        return page(shown, query.limit, lambda order: ("", order.id))

    async def give_back(self, by: Principal, order_id: UUID, client: Client) -> CardOrder:
        """Give a card back that was not used, or give up an order that is not paid.

        All of its money goes back. One that is given back already is answered as it is; a manager
        has a refund asked for again that has failed. Refuses NOT_FOUND, PAYMENT_IN_PROGRESS,
        GIFT_CARD_NOT_RETURNABLE, RETRY.
        """
        order = await self._visible(by, order_id)
        if order.status == "open":
            order = await self._given_up(order)
        act = Act(by=UUID(bytes=by.user_id), at=self._now(), client=client, entry_id=self._new_id())
        if order.status == "paid":
            self._check_return(by, order)
            if not await self._returns.take_back(order, act):
                raise refuse("GIFT_CARD_NOT_RETURNABLE", reason="used")
        elif order.status == "refund_failed" and self._is_managers(by, order):
            await self._returns.again(order, act)
        order = found(await self._orders.find(order_id))
        if order.status == "refunding":
            await self._refund(order)
        return await self._shown(by, found(await self._orders.find(order_id)))

    def _check_return(self, by: Principal, order: StoredOrder) -> None:
        assert order.paid_at is not None
        if order.disabled_at is not None:
            raise refuse("GIFT_CARD_NOT_RETURNABLE", reason="disabled")
        if not self._is_managers(by, order) and self._now() >= order.paid_at + REFUNDABLE_FOR:
            raise refuse("GIFT_CARD_NOT_RETURNABLE", reason="too_late")

    async def _given_up(self, order: StoredOrder) -> StoredOrder:
        """The order once nobody can pay it any more, or once it is paid after all."""
        progress = await self._methods.get(order.method).cancel(_attempt(order))
        await self._note(order, progress)
        after_all = found(await self._orders.find(order.id))
        if after_all.status == "open":
            raise refuse("PAYMENT_IN_PROGRESS", NOT_PAID_YET)
        return after_all

    # --- for whoever hears of money

    async def told(self, order_id: UUID, reference: str) -> str:
        """A provider says something of an order, which it calls so: ask it; a word for the outcome.

        Refuses RETRY.
        """
        order = await self._orders.find(order_id)
        if order is None:
            return "of_others"
        if order.card_id is not None:
            return "known"
        if order.reference is None:
            await self._orders.name(order_id, reference)
            order = found(await self._orders.find(order_id))
        return await self._look(order)

    async def undone(self, refund: Undone) -> bool:
        """A provider says that a refund has failed, maybe long after it had succeeded.

        False if it is none of an order, or that was known.
        """
        order = await self._orders.find(refund.id)
        if order is None:
            return False
        if not await self._returns.undo_refund(order, refund.again, refund.error_code, self._now()):
            return False
        log.warning(GIFT_CARD_REFUND_FAILED, order=str(order.id), reason=refund.error_code)
        return True

    async def disputed(self, order_id: UUID, status: str, lost_minor: int | None) -> bool:
        """A bank decides about the money of an order; `lost_minor` is what it has taken for good.

        A `status` of won gives the card free again. False if there is no such order. It may be
        told more than once, and refuses RETRY.
        """
        order = await self._orders.find(order_id)
        if order is None:
            return False
        now = self._now()
        if lost_minor is not None:
            await self._returns.charge_back(order, lost_minor, now)
        elif status == "open":
            await self._returns.block(order_id, now)
        else:
            await self._returns.unblock(order_id, now)
        log.warning(GIFT_CARD_PAYMENT_DISPUTED, order=str(order_id), status=status)
        return True

    # --- the queue

    async def claim(self, limit: int) -> Sequence[StoredOrder]:
        """Claim orders with which something is to be done; no other node gets them for a while."""
        return await self._orders.claim(self._now(), LEASE, limit)

    async def work(self, order: StoredOrder) -> None:
        """Do what is to be done with one order, and note the outcome."""
        step = {"open": self._due, "paid": self._send, "refunding": self._refund}.get(order.status)
        if step is None:
            return
        try:
            await step(order)
        except Refused as refused:
            reason = refused.rejection.code
            until = self._now() + wait_after(order.attempts)
            await self._orders.put_off(order, until)
            self._limit.write(
                log.warning, GIFT_CARD_ORDER_DELAYED, order=str(order.id), reason=reason
            )

    async def _due(self, order: StoredOrder) -> None:
        """Look whether an order was paid; after its time it is given up."""
        if self._now() >= order.created_at + OPEN_FOR:
            progress = await self._methods.get(order.method).cancel(_attempt(order))
            if await self._note(order, progress) != "pending":
                return
        elif await self._look(order) != "pending":
            return
        await self._orders.put_off(order, self._now() + LOOK_EVERY)

    async def _send(self, order: StoredOrder) -> None:
        await self._orders.send(order, await self._cards.code_of_order(order.id), self._now())

    async def _refund(self, order: StoredOrder) -> None:
        """Ask for the money of an order to go back; the id of the order is the key."""
        wanted = RefundOrder(
            id=order.id,
            booking_id=order.id,
            amount_minor=order.amount_minor,
            currency=order.currency,
            reference=order.refund_reference,
            again=order.asked_again,
        )
        method = self._methods.get(order.method)
        try:
            progress = await method.refund(_attempt(order), wanted)
        except Refused:
            # The queue asks again: that it goes back is decided.
            return await self._orders.put_off(order, self._now() + wait_after(order.attempts + 1))
        return await self._note_refund(order, progress)

    async def _note_refund(self, order: StoredOrder, progress: RefundProgress) -> None:
        if progress.status == "succeeded":
            await self._returns.refunded(order, progress.reference, self._now())
        elif progress.status == "failed":
            await self._returns.refund_failed(order, progress.reference, progress.error_code)
            log.warning(GIFT_CARD_REFUND_FAILED, order=str(order.id), reason=progress.error_code)
        else:
            await self._returns.refund_under_way(order, progress.reference)
            until = self._now() + REFUND_PENDING
            await self._orders.put_off(order, until, progress.error_code)

    # --- both

    async def _look(self, order: StoredOrder) -> str:
        progress = await self._methods.get(order.method).status(_attempt(order))
        return await self._note(order, progress)

    async def _note(self, order: StoredOrder, progress: Progress) -> str:
        """What follows from what a provider says of an order that is not paid; a word for it."""
        if progress.status == "succeeded":
            return await self._settle(order, progress)
        if progress.status == "pending":
            await self._orders.note(order.id, progress.reference, progress.error_code)
            return "pending"
        await self._orders.end(order.id, progress.error_code)
        return progress.status

    async def _settle(self, order: StoredOrder, progress: Progress) -> str:
        if progress.reference is not None:
            await self._orders.name(order.id, progress.reference)
        new = await self._cards.code_of_order(order.id)
        made = await self._orders.settle(order, self._new_id(), new, self._now())
        return "sold" if made else "known"

    async def _own(self, by: Principal, order_id: UUID) -> StoredOrder:
        order = found(await self._orders.find(order_id))
        if order.buyer_id.bytes != by.user_id:
            raise refuse("NOT_FOUND")
        return order

    async def _visible(self, by: Principal, order_id: UUID) -> StoredOrder:
        order = found(await self._orders.find(order_id))
        if order.buyer_id.bytes != by.user_id and not self._is_managers(by, order):
            raise refuse("NOT_FOUND")
        return order

    def _is_managers(self, by: Principal, order: StoredOrder) -> bool:
        return by.role in MANAGERS and serves(by, order.cinema_id)

    async def _shown(
        self, by: Principal, order: StoredOrder, client_secret: str | None = None
    ) -> CardOrder:
        code = None
        is_own = order.buyer_id.bytes == by.user_id
        if is_own and order.card_id is not None and order.disabled_at is None:
            code = shown_code((await self._cards.code_of_order(order.id)).code)
        return shown(order, self._now(), code, client_secret)


def shown(
    order: StoredOrder, now: datetime, code: str | None, client_secret: str | None
) -> CardOrder:
    """An order as people see it."""
    amount = Money(order.amount_minor, order.currency)
    states: dict[str, Literal["pending", "failed"]] = {"open": "pending", "cancelled": "failed"}
    payment = PaymentOfOrder(
        method=order.method,
        status=states.get(order.status, "succeeded"),
        error_code=order.error_code,
        client_secret=client_secret if order.status == "open" else None,
    )
    return CardOrder(
        id=order.id,
        cinema_id=order.cinema_id,
        amount=amount,
        status=order.status,
        payment=payment,
        recipient=Recipient(email=order.recipient_email, name=order.recipient_name),
        sender_name=order.sender_name,
        message=order.message,
        deliver_at=order.deliver_at,
        delivered_at=order.delivered_at,
        created_at=order.created_at,
        paid_at=order.paid_at,
        refunded_at=order.refunded_at,
        refundable_until=None if order.paid_at is None else order.paid_at + REFUNDABLE_FOR,
        card=_card(order, now, code),
    )


def _card(order: StoredOrder, now: datetime, code: str | None) -> OrderedCard | None:
    card = order.card
    if card is None:
        return None
    assert order.card_id is not None
    assert order.last_four is not None
    return OrderedCard(
        id=order.card_id,
        last_four=order.last_four,
        balance=Money(card.balance_minor, card.currency),
        status=card.standing_at(now),
        expires_at=card.expires_at,
        code=code,
    )


def _attempt(order: StoredOrder) -> Attempt:
    """An order as methods see it, which know it as an attempt to pay."""
    return Attempt(
        id=order.id,
        booking_id=order.id,
        method=order.method,
        status="pending" if order.card_id is None else "succeeded",
        amount_minor=order.amount_minor,
        refunded_minor=0,
        currency=order.currency,
        reference=order.reference,
        created_at=order.created_at,
        buys="gift_card",
    )
