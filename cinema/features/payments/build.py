"""How this feature is built."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.features.accounts.front_door import FrontDoor
from cinema.features.bookings.order_service import OrdersService
from cinema.features.bookings.service import BookingsService
from cinema.features.bookings.store import BookingsRepository
from cinema.features.cashdesk.till_store import TillsRepository
from cinema.features.feature import Feature, Question
from cinema.features.giftcards.order_service import CardOrdersService
from cinema.features.giftcards.service import GiftCardsService
from cinema.features.ledger.refund_store import RefundsRepository
from cinema.features.ledger.service import AttemptsService
from cinema.features.ledger.store import AttemptsRepository
from cinema.features.loyalty.service import LoyaltyService
from cinema.features.messages.store import MessagesRepository
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.features.payments import refund_routes, stripe_routes
from cinema.features.payments import routes as payment_routes
from cinema.features.payments.difference_service import DifferencesService
from cinema.features.payments.errors import ERRORS
from cinema.features.payments.refund_routes import RefundParts
from cinema.features.payments.refund_service import RefundsService
from cinema.features.payments.service import PaymentsService
from cinema.features.payments.store import PaymentsRepository
from cinema.features.payments.stripe_jobs import StripeTasks
from cinema.features.payments.stripe_method import StripeMethod
from cinema.features.payments.stripe_metrics import StripeCounts
from cinema.features.payments.stripe_reconciliation import Reconciliation
from cinema.features.payments.stripe_routes import StripeParts
from cinema.features.payments.stripe_service import StripePayments
from cinema.features.payments.stripe_store import DUE as STRIPE_DUE
from cinema.features.payments.stripe_store import StripeRepository
from cinema.http.routes import bound
from cinema.integrations.stripe.client import StripeClient
from cinema.settings import stripe_key, webhook_secrets


async def build(node: NodeParts, offered: Offered) -> Feature:
    payments = PaymentsService(
        offered[AttemptsService],
        PaymentsRepository(node.sold),
        BookingsRepository(node.pool, node.sold),
        offered[TillsRepository],
        offered[GiftCardsService],
        offered[LoyaltyService],
        now=node.common_time,
    )
    refunds = RefundsService(
        offered[RefundsRepository],
        BookingsRepository(node.pool, node.sold),
        offered[BookingsService],
        offered[TillsRepository],
        offered[GiftCardsService],
        new_id=node.next_uuid,
        now=node.common_time,
    )
    stripe = _stripe(node, offered)
    routes = (
        *bound(payment_routes.ROUTES, payments),
        *bound(
            refund_routes.ROUTES,
            RefundParts(refunds, offered[FrontDoor], offered[OrdersService], node.proxies),
        ),
    )
    return msgspec.structs.replace(stripe, routes=(*routes, *stripe.routes))


def _stripe(node: NodeParts, offered: Offered) -> Feature:
    """Payments by Stripe; without a key there is no such method, and webhooks are refused."""
    settings, now = node.settings, node.common_time
    client = StripeClient(settings.stripe_secret_key, base=settings.stripe_api_base)
    node.stack.push_async_callback(client.close)
    rows, counts = AttemptsRepository(node.pool), StripeCounts()
    tasks = StripeRepository(node.pool, now=now)
    payments = offered.add(
        StripePayments(
            client,
            offered[AttemptsService],
            rows,
            tasks,
            counts,
            offered[CardOrdersService],
            secrets=webhook_secrets(settings.stripe_webhook_secret),
            unix_s=node.unix_s,
        )
    )
    method = StripeMethod(client, payments, now=now)
    if client.has_key:
        offered[AttemptsService].methods.add(method)
    work = StripeTasks(
        client,
        method,
        payments,
        Reconciliation(client, payments, tasks),
        rows,
        tasks,
        counts,
        node.pool,
        offered[MessagesRepository].enqueue,
        now=now,
    )
    return Feature(
        routes=bound(stripe_routes.ROUTES, StripeParts(payments, DifferencesService(tasks))),
        metrics=(counts.families,),
        queues={"stripe": work},
        questions={"stripe": Question(STRIPE_DUE, (now,))},
        sweeps={"stripe-tasks": tasks.forget},
        secrets={
            "STRIPE_SECRET_KEY": lambda text: client.use_key(
                stripe_key(text, production=settings.production)
            ),
            "STRIPE_WEBHOOK_SECRET": lambda text: payments.sign_by(webhook_secrets(text)),
        },
    )


TAGS: Final = {
    "Payments": "How bookings are paid, and money that goes back.",
}

PAYMENTS: Final = Listed(build, errors=ERRORS, tags=TAGS)
