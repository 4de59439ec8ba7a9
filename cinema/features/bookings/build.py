"""How this feature is built."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from cinema.domain.times import from_us
from cinema.features.accounts.front_door import FrontDoor
from cinema.features.accounts.guest_rules import GuestTimes
from cinema.features.accounts.letters import MessagePost
from cinema.features.accounts.throttles import Throttles
from cinema.features.bookings import (
    billing_routes,
    change_routes,
    exchange_routes,
    order_routes,
    staff_routes,
)
from cinema.features.bookings import routes as booking_routes
from cinema.features.bookings.billing_service import BillingService
from cinema.features.bookings.billing_store import BillingRepository
from cinema.features.bookings.change_routes import ChangeParts
from cinema.features.bookings.change_service import SeatChangesService
from cinema.features.bookings.errors import ERRORS
from cinema.features.bookings.exchange_jobs import OpenExchanges
from cinema.features.bookings.exchange_routes import ExchangeParts
from cinema.features.bookings.exchange_service import ExchangesService
from cinema.features.bookings.exchange_store import ExchangesRepository
from cinema.features.bookings.jobs import BookingsOfCancelled
from cinema.features.bookings.mail_jobs import CHANGED_MESSAGE, CONFIRMED_MESSAGE, BookingMails
from cinema.features.bookings.mail_store import DUE as BOOKING_MAILS_DUE
from cinema.features.bookings.mail_store import BookingMailsRepository
from cinema.features.bookings.order_jobs import OwedMails
from cinema.features.bookings.order_routes import OrderParts
from cinema.features.bookings.order_rules import OrderLinks
from cinema.features.bookings.order_service import OrdersService
from cinema.features.bookings.order_store import DUE as ORDER_LINKS_DUE
from cinema.features.bookings.order_store import OrdersRepository
from cinema.features.bookings.pending_jobs import UnpaidBookings
from cinema.features.bookings.personal_store import BookingFacts
from cinema.features.bookings.reminder_jobs import REMINDER_MESSAGE, UNPAID_MESSAGE, Reminders
from cinema.features.bookings.reminder_store import RemindersRepository
from cinema.features.bookings.routes import BookingParts
from cinema.features.bookings.rows import BOOKING_BRANCHES
from cinema.features.bookings.service import BookingsService, UnpaidBounds
from cinema.features.bookings.showtime_store import ShowtimeBookingsRepository
from cinema.features.bookings.staff_routes import StaffParts
from cinema.features.bookings.staff_service import StaffBookingsService
from cinema.features.bookings.staff_store import StaffBookingsRepository
from cinema.features.bookings.store import BookingsRepository
from cinema.features.bookings.telling_jobs import BookingsOfMoved
from cinema.features.cashdesk.till_store import TillsRepository
from cinema.features.concessions.service import ConcessionsService
from cinema.features.feature import Feature, JobKind, Question
from cinema.features.giftcards.service import GiftCardsService
from cinema.features.ledger.methods import ByDecision
from cinema.features.ledger.rules import EXCHANGE
from cinema.features.ledger.service import AttemptsService
from cinema.features.loyalty.service import LoyaltyService
from cinema.features.messages.jobs import Outgoing
from cinema.features.messages.store import MessagesRepository
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.features.pricing.code_service import CodesService
from cinema.features.pricing.sale_service import SalesService
from cinema.features.showtimes.rows import SHOWTIME_CANCELLATION, SHOWTIME_MOVE
from cinema.http.routes import bound


async def build(node: NodeParts, offered: Offered) -> Feature:
    settings, throttles = node.settings, offered[Throttles]
    store = BookingsRepository(node.pool, node.sold)
    orders = OrdersRepository(node.pool, offered[MessagePost], times=offered[GuestTimes])
    billing = BillingRepository(node.pool)
    bookings = offered.add(
        BookingsService(
            node.dispatch,
            store,
            orders,
            throttles,
            offered[AttemptsService],
            offered[SalesService],
            offered[CodesService],
            offered[TillsRepository],
            offered[GiftCardsService],
            offered[LoyaltyService],
            offered[ConcessionsService],
            billing,
            unpaid_seats=UnpaidBounds(
                by_customer=settings.unpaid_seats_per_customer,
                by_staff=settings.unpaid_seats_per_staff,
            ),
            next_id=node.next_id,
        )
    )

    def now() -> datetime:
        return from_us(node.dispatch.clock.now_us())

    changes = SeatChangesService(
        *(node.dispatch, store, offered[AttemptsService].methods, offered[SalesService]),
        offered[TillsRepository],
        next_id=node.next_id,
    )
    exchanges = ExchangesRepository(node.pool)
    exchanging = ExchangesService(
        *(node.dispatch, exchanges, store, bookings, offered[AttemptsService].methods),
        offered[TillsRepository],
        next_id=node.next_id,
    )
    offered[AttemptsService].methods.add(ByDecision(EXCHANGE, exchanges.abort_for, now=now))
    by_link = offered.add(OrdersService(orders, bookings, throttles, now=now))
    of_showtimes = ShowtimeBookingsRepository(node.pool)
    of_cancelled = BookingsOfCancelled(
        node.dispatch,
        of_showtimes,
        offered[ConcessionsService],
        node.pool,
        offered[MessagesRepository].enqueue,
    )
    unpaid = UnpaidBookings(node.dispatch, store, offered[AttemptsService], now=now)
    links = OrderLinks(node.base_url)
    of_staff = StaffBookingsRepository(node.pool, offered[MessagePost], node.sold)
    staff = StaffBookingsService(
        *(of_staff, store, links, throttles), new_id=node.next_uuid, now=now
    )
    of_moved = BookingsOfMoved(
        of_showtimes, node.pool, offered[MessagesRepository].enqueue, now=now
    )
    mails = BookingMails(
        BookingMailsRepository(node.pool),
        node.pool,
        offered[MessagesRepository].enqueue_all,
        base_url=node.base_url,
        now=node.now,
        rest=node.rest(BOOKING_MAILS_DUE),
    )
    reminders_kept = RemindersRepository(node.pool)
    reminders = Reminders(
        *(reminders_kept, node.pool, offered[MessagesRepository].enqueue),
        base_url=node.base_url,
        now=now,
    )
    offered[Outgoing].ask_before(CONFIRMED_MESSAGE, mails.is_live)
    offered[Outgoing].ask_before(CHANGED_MESSAGE, mails.is_live)
    offered[Outgoing].ask_before(REMINDER_MESSAGE, reminders.is_coming)
    offered[Outgoing].ask_before(UNPAID_MESSAGE, reminders.is_pending)
    return Feature(
        routes=(
            *bound(booking_routes.ROUTES, BookingParts(bookings, offered[FrontDoor])),
            *bound(change_routes.ROUTES, ChangeParts(changes, offered[FrontDoor])),
            *bound(exchange_routes.ROUTES, ExchangeParts(exchanging, offered[FrontDoor])),
            *bound(staff_routes.ROUTES, StaffParts(staff, offered[FrontDoor])),
            *bound(billing_routes.ROUTES, BillingService(store, billing, now=now)),
            *bound(order_routes.ROUTES, OrderParts(by_link, node.proxies)),
        ),
        jobs={
            SHOWTIME_CANCELLATION: JobKind(run=of_cancelled.run),
            SHOWTIME_MOVE: JobKind(run=of_moved.run),
        },
        personal=(BookingFacts(node.pool).disclose,),
        queues={"order-links": OwedMails(orders, links, now=now)},
        questions={"order-links": Question(ORDER_LINKS_DUE, (now,))},
        tasks={
            "booking-mails": mails.run,
            "reminders": reminders.run,
            "unpaid-bookings": unpaid.run,
            "open-exchanges": OpenExchanges(exchanging, exchanges, now=now).run,
        },
        sweeps={
            "booking-keys": store.forget_keys,
            "booking-notes": of_staff.forget,
            "unbooked-orders": orders.forget,
            "unused-billing": billing.forget,
            "reminders": reminders_kept.forget,
        },
    )


TAGS: Final = {
    "Bookings": "Seats sold.",
    "Orders": "Bookings of guests, which they see and cancel with the link in their mail.",
}

BOOKINGS: Final = Listed(build, errors=ERRORS, tags=TAGS, rows=BOOKING_BRANCHES)
