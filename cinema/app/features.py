"""THE list of features: how each one is built, and in which order."""

from __future__ import annotations

import os
import platform
import random
import secrets
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from cinema.actors.dispatch import Dispatch
from cinema.actors.kernel import Kernel
from cinema.app.settings_parts import (
    DAY_S,
    base_url,
    guest_times,
    hold_rates,
    link_times,
    object_store,
    refresh_cookie,
    roles_with_factor,
    sale_rules,
    session_times,
    throttle_rules,
    unpaid_limits,
    watch_options,
)
from cinema.cluster.node import ClusterNode
from cinema.domain.times import from_us
from cinema.features.accounts import (
    credential_routes,
    guest_routes,
    profile_routes,
    session_routes,
    totp_routes,
    user_routes,
)
from cinema.features.accounts import routes as auth_routes
from cinema.features.accounts.admission import Admission
from cinema.features.accounts.audit_store import AuditRepository
from cinema.features.accounts.challenge_store import ChallengesRepository
from cinema.features.accounts.changes_store import AccountStandings
from cinema.features.accounts.confirmation import Confirmation
from cinema.features.accounts.credential_routes import CredentialParts
from cinema.features.accounts.credential_service import CredentialsService
from cinema.features.accounts.erasure_store import ErasureRepository
from cinema.features.accounts.front_door import FrontDoor
from cinema.features.accounts.guest_routes import GuestParts
from cinema.features.accounts.guest_service import GuestsService
from cinema.features.accounts.guest_store import GuestsRepository
from cinema.features.accounts.invitation_service import InvitationsService
from cinema.features.accounts.invitation_store import InvitationsRepository
from cinema.features.accounts.letters import Letter, Post
from cinema.features.accounts.link_jobs import MailPreparation
from cinema.features.accounts.link_rules import Links
from cinema.features.accounts.link_store import LinksRepository
from cinema.features.accounts.login_addresses_store import LoginAddresses
from cinema.features.accounts.login_throttle import LoginThrottle
from cinema.features.accounts.metrics import login_families, throttle_families
from cinema.features.accounts.passwords import PasswordHasher
from cinema.features.accounts.personal_store import AccountFacts
from cinema.features.accounts.profile_routes import ProfileParts
from cinema.features.accounts.profile_service import ProfileService
from cinema.features.accounts.refresh_tokens import RefreshTokens
from cinema.features.accounts.routes import AuthParts
from cinema.features.accounts.service import AccountsService
from cinema.features.accounts.session_routes import SessionParts
from cinema.features.accounts.session_service import SessionsService
from cinema.features.accounts.session_store import SessionsRepository
from cinema.features.accounts.signing_keys import SigningKeys
from cinema.features.accounts.store import AccountsRepository
from cinema.features.accounts.throttles import Throttles
from cinema.features.accounts.tokens import TimeSource, TokenIssuer, TokenVerifier
from cinema.features.accounts.totp_routes import FactorParts
from cinema.features.accounts.totp_service import FactorsService
from cinema.features.accounts.totp_store import SEALED as SEALED_FACTORS
from cinema.features.accounts.totp_store import SEALED_NEXT, FactorsRepository
from cinema.features.accounts.user_routes import UserParts
from cinema.features.accounts.user_service import UsersService
from cinema.features.accounts.user_store import UsersRepository
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
from cinema.features.bookings.exchange_jobs import OpenExchanges
from cinema.features.bookings.exchange_routes import ExchangeParts
from cinema.features.bookings.exchange_service import ExchangesService
from cinema.features.bookings.exchange_store import ExchangesRepository
from cinema.features.bookings.jobs import BookingsOfCancelled
from cinema.features.bookings.mail_jobs import (
    CHANGED_MESSAGE,
    CONFIRMED_MESSAGE,
    RECEIPT_MESSAGE,
    BookingMails,
)
from cinema.features.bookings.mail_store import BookingMailsRepository
from cinema.features.bookings.order_jobs import OwedMails
from cinema.features.bookings.order_routes import OrderParts
from cinema.features.bookings.order_rules import OrderLinks
from cinema.features.bookings.order_service import OrdersService
from cinema.features.bookings.order_store import ORDER_LINK, OrdersRepository
from cinema.features.bookings.pending_jobs import UnpaidBookings
from cinema.features.bookings.personal_store import BookingFacts
from cinema.features.bookings.reminder_jobs import (
    REMINDER_MESSAGE,
    UNPAID_MESSAGE,
    Reminders,
)
from cinema.features.bookings.reminder_store import RemindersRepository
from cinema.features.bookings.routes import BookingParts
from cinema.features.bookings.rows import BOOKING_BRANCHES
from cinema.features.bookings.service import BookingsService, UnpaidSeats
from cinema.features.bookings.staff_routes import StaffParts
from cinema.features.bookings.staff_service import StaffBookingsService
from cinema.features.bookings.staff_store import AGAIN, StaffBookingsRepository
from cinema.features.bookings.store import BookingsRepository
from cinema.features.bookings.telling_jobs import BookingsOfMoved
from cinema.features.cashdesk import routes as cash_routes
from cinema.features.cashdesk.routes import DeskParts
from cinema.features.cashdesk.service import CashDeskService
from cinema.features.cashdesk.store import CashDeskRepository
from cinema.features.catalog import (
    cinema_routes,
    layout_routes,
    movie_routes,
    poster_routes,
    screen_routes,
)
from cinema.features.catalog.deletion_store import DELETION, DeletionsRepository
from cinema.features.catalog.jobs import CatalogFigures
from cinema.features.catalog.layout_service import LayoutsService
from cinema.features.catalog.layout_store import LayoutsRepository
from cinema.features.catalog.metrics import cache_families
from cinema.features.catalog.poster_service import PostersService
from cinema.features.catalog.poster_store import PostersRepository
from cinema.features.catalog.service import CatalogService
from cinema.features.catalog.store import CatalogRepository
from cinema.features.catalog.versions_store import CatalogVersions
from cinema.features.concessions import image_routes as product_image_routes
from cinema.features.concessions import routes as concession_routes
from cinema.features.concessions.image_routes import ImageParts
from cinema.features.concessions.image_service import ProductImagesService
from cinema.features.concessions.routes import ConcessionParts
from cinema.features.concessions.service import ConcessionsService
from cinema.features.concessions.store import ConcessionsRepository
from cinema.features.events import routes as event_routes
from cinema.features.events.jobs import Publishing
from cinema.features.events.metrics import EventCounts
from cinema.features.events.service import EventsService
from cinema.features.events.store import EventsRepository
from cinema.features.events.stream_jobs import Streaming
from cinema.features.events.tail import EventTail
from cinema.features.feature import Feature, JobKind
from cinema.features.giftcards import order_routes as card_order_routes
from cinema.features.giftcards import routes as card_routes
from cinema.features.giftcards.jobs import CardsCredited
from cinema.features.giftcards.method import GiftCardMethod
from cinema.features.giftcards.order_routes import CardOrderParts
from cinema.features.giftcards.order_service import CardOrdersService
from cinema.features.giftcards.order_store import CardOrdersRepository
from cinema.features.giftcards.personal_store import GiftCardFacts
from cinema.features.giftcards.routes import CardParts
from cinema.features.giftcards.service import GiftCardsService
from cinema.features.giftcards.store import SEALED as SEALED_CARD_KEYS
from cinema.features.giftcards.store import GiftCardsRepository
from cinema.features.invoices import routes as invoice_routes
from cinema.features.invoices.checking_jobs import Checking
from cinema.features.invoices.checking_store import ChecksRepository
from cinema.features.invoices.jobs import Issuing
from cinema.features.invoices.metrics import CheckCounts, InvoiceCounts
from cinema.features.invoices.personal_store import InvoiceFacts
from cinema.features.invoices.routes import InvoiceParts
from cinema.features.invoices.rows import INVOICE_BRANCHES
from cinema.features.invoices.service import PROGRAM as PRINTING_DOCUMENTS
from cinema.features.invoices.service import InvoicesService
from cinema.features.invoices.store import InvoicesRepository
from cinema.features.jobs import routes as job_routes
from cinema.features.jobs.jobs import JobQueue
from cinema.features.jobs.metrics import JobCounts
from cinema.features.jobs.service import JobsService
from cinema.features.jobs.store import JobsRepository
from cinema.features.ledger import routes as ledger_routes
from cinema.features.ledger.exchange_method import ExchangeMethod
from cinema.features.ledger.methods import MethodRegistry
from cinema.features.ledger.metrics import RefundCounts
from cinema.features.ledger.refund_jobs import RefundQueue
from cinema.features.ledger.refund_store import RefundsRepository
from cinema.features.ledger.rows import LEDGER_BRANCHES
from cinema.features.ledger.service import AttemptsService, LedgerService
from cinema.features.ledger.store import AttemptsRepository, LedgerRepository
from cinema.features.loyalty import routes as loyalty_routes
from cinema.features.loyalty.jobs import PointsCredited
from cinema.features.loyalty.method import PointsMethod
from cinema.features.loyalty.personal_store import LoyaltyFacts
from cinema.features.loyalty.rows import LOYALTY_BRANCHES
from cinema.features.loyalty.service import LoyaltyService
from cinema.features.loyalty.store import PointsRepository
from cinema.features.messages import choice_routes
from cinema.features.messages import routes as message_routes
from cinema.features.messages.choice_service import ChoicesService
from cinema.features.messages.choice_store import SEALED as SEALED_PHONES
from cinema.features.messages.choice_store import ChoicesRepository
from cinema.features.messages.jobs import PATIENT_AT_ONCE, Outgoing, PatientOutgoing
from cinema.features.messages.letters import Enclosure, Letters
from cinema.features.messages.metrics import MessageCounts
from cinema.features.messages.off_links import OffLinks
from cinema.features.messages.personal_store import MessageFacts
from cinema.features.messages.service import MessagesService
from cinema.features.messages.store import SEALED as SEALED_MESSAGES
from cinema.features.messages.store import MessagesRepository
from cinema.features.operations import health_routes, live_routes
from cinema.features.operations.cluster_metrics import cluster_families
from cinema.features.operations.health_routes import HealthParts
from cinema.features.operations.kernel_metrics import kernel_families, log_families, watch_families
from cinema.features.operations.live_service import LiveService, Nodes
from cinema.features.operations.live_store import LiveRepository
from cinema.features.payments import refund_routes, stripe_routes
from cinema.features.payments import routes as payment_routes
from cinema.features.payments.difference_service import DifferencesService
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
from cinema.features.payments.stripe_store import StripeRepository
from cinema.features.personal import Disclose
from cinema.features.pricing import promo_routes
from cinema.features.pricing import routes as pricing_routes
from cinema.features.pricing.book_service import Books
from cinema.features.pricing.code_service import CodesService
from cinema.features.pricing.jobs import NewPrices, UsesGivenBack
from cinema.features.pricing.promo_routes import PromoParts
from cinema.features.pricing.promo_service import PromosService
from cinema.features.pricing.promo_store import PromosRepository
from cinema.features.pricing.promo_use_store import PromoUsesRepository
from cinema.features.pricing.quote_service import QuotesService
from cinema.features.pricing.routes import PricingParts
from cinema.features.pricing.rows import PRICING_BRANCHES
from cinema.features.pricing.sale_service import SalesService
from cinema.features.pricing.service import PricesService
from cinema.features.pricing.store import PricesRepository
from cinema.features.privacy import routes as export_routes
from cinema.features.privacy.jobs import ExportMaker
from cinema.features.privacy.routes import ExportParts
from cinema.features.privacy.rules import KIND as EXPORT_KIND
from cinema.features.privacy.service import ExportsService
from cinema.features.privacy.store import SEALED as SEALED_EXPORTS
from cinema.features.privacy.store import ExportsRepository
from cinema.features.recommendations import routes as recommendation_routes
from cinema.features.recommendations.jobs import Models, building
from cinema.features.recommendations.personal_store import RecommendationFacts
from cinema.features.recommendations.rules import Experiment
from cinema.features.recommendations.service import (
    CurrentModel,
    Programme,
    RecommendationsService,
)
from cinema.features.recommendations.store import (
    ModelRepository,
    RecommendationsRepository,
)
from cinema.features.recommendations.visit_jobs import VisitsWritten
from cinema.features.recommendations.visit_store import VisitsRepository
from cinema.features.recommendations.visits import Visits
from cinema.features.reports import admin_routes as admin_report_routes
from cinema.features.reports import routes as report_routes
from cinema.features.reports.experiment_store import ExperimentsRepository
from cinema.features.reports.figure_jobs import FiguresKept
from cinema.features.reports.figure_service import FiguresService
from cinema.features.reports.figure_store import FiguresRepository
from cinema.features.reports.funnel_store import FunnelRepository
from cinema.features.reports.metrics import FigureCounts
from cinema.features.reports.projection_store import ProjectionRepository
from cinema.features.reports.service import ReportsService
from cinema.features.reports.store import ReturnsRepository
from cinema.features.reviews import routes as review_routes
from cinema.features.reviews.personal_store import ReviewFacts
from cinema.features.reviews.routes import ReviewParts
from cinema.features.reviews.rules import WordList
from cinema.features.reviews.service import ReviewsService
from cinema.features.reviews.store import ReviewsRepository
from cinema.features.schedules import routes as schedule_routes
from cinema.features.schedules.jobs import Planning
from cinema.features.schedules.metrics import ScheduleCounts
from cinema.features.schedules.service import KIND, SchedulesService
from cinema.features.schedules.store import SchedulesRepository
from cinema.features.seats import hold_routes, seat_routes
from cinema.features.seats.hold_limits import HoldLimits
from cinema.features.seats.service import SeatsService
from cinema.features.showtimes import calendar_routes
from cinema.features.showtimes import routes as showtime_routes
from cinema.features.showtimes.calendar_service import CalendarsService
from cinema.features.showtimes.calendar_store import CalendarRepository
from cinema.features.showtimes.jobs import Deletions
from cinema.features.showtimes.rows import (
    SHOWTIME_BRANCHES,
    SHOWTIME_CANCELLATION,
    SHOWTIME_MOVE,
)
from cinema.features.showtimes.service import ShowtimesService
from cinema.features.showtimes.store import ShowtimesRepository
from cinema.features.tickets import device_routes, scan_routes
from cinema.features.tickets import routes as ticket_routes
from cinema.features.tickets.device_routes import DeviceParts
from cinema.features.tickets.device_service import DevicesService
from cinema.features.tickets.device_store import DevicesRepository
from cinema.features.tickets.metrics import ScanCounts
from cinema.features.tickets.offline_service import OfflineService
from cinema.features.tickets.routes import TicketParts
from cinema.features.tickets.rows import TICKET_BRANCHES
from cinema.features.tickets.scan_routes import ScanParts
from cinema.features.tickets.scan_service import ScansService
from cinema.features.tickets.scan_store import ScansRepository
from cinema.features.tickets.service import PROGRAM as PRINTING_TICKETS
from cinema.features.tickets.service import TicketsService
from cinema.features.tickets.signing import TicketKeys
from cinema.features.tickets.store import TicketsRepository
from cinema.features.waitingroom import routes as room_routes
from cinema.features.waitingroom.feed import PlaceFeed
from cinema.features.waitingroom.gate import Gates
from cinema.features.waitingroom.jobs import RoomsPaced
from cinema.features.waitingroom.metrics import room_families
from cinema.features.waitingroom.page_files import page_files
from cinema.features.waitingroom.personal_store import PlaceFacts
from cinema.features.waitingroom.routes import RoomParts
from cinema.features.waitingroom.service import PlaceTokens, WaitingRoomService
from cinema.features.waitingroom.store import SEALED as SEALED_SEEDS
from cinema.features.waitingroom.store import RoomsRepository
from cinema.features.waitlist import routes as waitlist_routes
from cinema.features.waitlist.jobs import MESSAGE as OFFER_MESSAGE
from cinema.features.waitlist.jobs import OffersTold
from cinema.features.waitlist.rows import WAITLIST_BRANCHES
from cinema.features.waitlist.service import WaitlistService
from cinema.features.waitlist.store import OffersRepository
from cinema.features.watching import routes as watch_routes
from cinema.features.watching.hub import WatchHub
from cinema.features.webhooks import routes as webhook_routes
from cinema.features.webhooks.jobs import AT_ONCE as WEBHOOKS_AT_ONCE
from cinema.features.webhooks.jobs import Deliveries, HandingOut
from cinema.features.webhooks.metrics import WebhookCounts
from cinema.features.webhooks.routes import WebhookParts
from cinema.features.webhooks.service import WebhooksService
from cinema.features.webhooks.store import SEALED as SEALED_WEBHOOKS
from cinema.features.webhooks.store import SEALED_PREVIOUS as SEALED_WEBHOOKS_BEFORE
from cinema.features.webhooks.store import WebhooksRepository
from cinema.features.website import routes as website_routes
from cinema.features.website.service import WebsiteService
from cinema.features.website.shapes import DemoAccount, Site
from cinema.http.connections.proxies import TrustedProxies
from cinema.http.connections.wire import ReplyWriter
from cinema.http.routes import bound
from cinema.http.turns import Turns
from cinema.integrations.fiscal import NoSigner
from cinema.integrations.forks import ForkServer
from cinema.integrations.images.worker import ImageProcesses
from cinema.integrations.mail import MailSender
from cinema.integrations.mail.mailbox import MailboxFolder
from cinema.integrations.mail.smtp import SmtpSender
from cinema.integrations.sms.http import HttpSms
from cinema.integrations.stripe.client import StripeClient
from cinema.integrations.wallet.apple import ApplePasses
from cinema.integrations.webhooks.networks import networks
from cinema.integrations.webhooks.sender import WebhookSender
from cinema.settings import (
    Settings,
    encryption_keys,
    experiment_of,
    pass_identity,
    problems_of_signing_keys,
    problems_of_ticket_keys,
    signing_keys,
    smtp_server,
    stripe_key,
    webhook_secrets,
)
from cinema.storage.cache.values import MemoryValues
from cinema.storage.cache.versioned import Cache, NoCache, VersionedCache
from cinema.storage.database.address import DatabaseAddress
from cinema.storage.database.durability import DurabilityWatch
from cinema.storage.database.pool import close_pool, open_pool
from cinema.storage.database.read_replica import ReplicaReads
from cinema.storage.database.reads import PrimaryReads
from cinema.storage.database.transactions import Pool, PooledConnection
from cinema.storage.encryption import Cipher
from cinema.storage.journal.branches import RowBranch, RowBranches
from cinema.storage.journal.clock import boot_s
from cinema.storage.redis.event_stream import EventStream
from cinema.storage.redis.shared_values import SharedValues
from cinema.storage.redis.throttle_counts import ThrottleCounts
from cinema.telemetry.logging import LogSink
from cinema.telemetry.metrics import (
    Families,
    Metrics,
    disk_families,
    durability_families,
    pool_families,
    replica_families,
)

DISK_FREE_BYTES_MIN: Final = 200 * 1024 * 1024
"""With less space the node is not ready, so that Postgres does not run out of it at a commit."""


SEALED_COLUMNS: Final = (
    *(SEALED_FACTORS, SEALED_NEXT, SEALED_MESSAGES, SEALED_EXPORTS, SEALED_CARD_KEYS),
    *(SEALED_WEBHOOKS, SEALED_WEBHOOKS_BEFORE, SEALED_PHONES, SEALED_SEEDS),
)
"""The columns that features keep sealed; `cinema reseal` goes through all of them."""


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of the node that features use."""

    settings: Settings
    pool: Pool
    database: DatabaseAddress
    reads: ReplicaReads | None
    kernel: Kernel
    cluster: ClusterNode | None
    dispatch: Dispatch
    durability: DurabilityWatch
    sink: LogSink
    metrics: Metrics
    nodes: Nodes
    proxies: TrustedProxies
    writer: ReplyWriter
    turns: Turns
    cipher: Cipher
    next_id: Callable[[], bytes]
    unix_s: TimeSource
    stack: AsyncExitStack

    def next_uuid(self) -> UUID:
        """A new id as features outside the hot path use it."""
        return UUID(bytes=self.next_id())


class Offered:
    """What features offer to the features after them in the list.

    `personal` is what each of them knows of an account; `privacy`, which collects it, comes last.
    """

    def __init__(self) -> None:
        self.personal: list[Disclose] = []

    messages: MessagesRepository
    outgoing: Outgoing
    tail: EventTail
    jobs: JobsRepository
    job_counts: JobCounts
    admission: Admission
    throttles: Throttles
    catalog: CatalogRepository
    deletions: DeletionsRepository
    cache: Cache
    pictures: PostersService
    concessions: ConcessionsService
    seats: SeatsService
    holds: HoldLimits
    sales: SalesService
    codes: CodesService
    attempts: AttemptsService
    refunds: RefundsRepository
    gift_cards: GiftCardsService
    card_orders: CardOrdersService
    loyalty: LoyaltyService
    selling: BookingsService
    orders: OrdersService
    hub: WatchHub
    printing: ForkServer


Build = Callable[[Ground, Offered], Awaitable[Feature]]


class Listed(NamedTuple):
    """A feature of the list: how it is built, and the rows that it writes with events.

    The rows are known before anything is built, because features need the kernel, and the kernel
    needs the rows.
    """

    build: Build
    rows: tuple[RowBranch, ...] = ()


def posted_by(messages: MessagesRepository) -> Post:
    """Enqueues letters of accounts as messages; one with an expired link is not sent."""

    async def post(running: PooledConnection, letter: Letter, /) -> None:
        await messages.enqueue(
            running,
            kind=letter.kind,
            to=letter.to,
            language=letter.language,
            payload=letter.payload,
            dedupe_key=letter.dedupe,
            drop_after=letter.payload.get("expires_at"),
        )

    return post


async def _messages(ground: Ground, offered: Offered) -> Feature:
    settings, now = ground.settings, _now(ground.unix_s)
    sends_sms = bool(settings.sms_api_url)
    messages = offered.messages = MessagesRepository(
        ground.pool, ground.cipher, new_id=ground.next_id, now=now, sends_sms=sends_sms
    )
    sender: MailSender = MailboxFolder(settings.data_dir / "mailbox")
    if settings.smtp_url:
        sender = _smtp(settings.smtp_url)
    counts, choices = MessageCounts(), ChoicesRepository(ground.pool, ground.cipher)
    links = OffLinks(ground.cipher, base_url(settings))
    letters = Letters(settings.mail_from, links)
    outgoing = offered.outgoing = Outgoing(messages, choices, letters, sender, counts, now=now)

    def use_sms_token(token: str) -> None:
        if sends_sms:
            outgoing.send_short_by(HttpSms(settings.sms_api_url, token))

    use_sms_token(settings.sms_api_token)
    return Feature(
        routes=(
            *bound(message_routes.ROUTES, MessagesService(messages, letters)),
            *bound(
                choice_routes.ROUTES, ChoicesService(choices, links, sends_sms=sends_sms, now=now)
            ),
        ),
        metrics=(counts.families,),
        queues={"messages": outgoing, "receipts": PatientOutgoing(outgoing)},
        at_once={"receipts": PATIENT_AT_ONCE},
        personal=(MessageFacts(ground.pool, choices).disclose,),
        sweeps={"messages": messages.forget},
        secrets={
            "SMTP_URL": lambda url: outgoing.send_by(_smtp(url)),
            "SMS_API_TOKEN": use_sms_token,
        },
    )


async def _jobs(ground: Ground, offered: Offered) -> Feature:
    jobs = offered.jobs = JobsRepository(
        ground.pool, new_id=ground.next_id, now=_common_time(ground)
    )
    counts = offered.job_counts = JobCounts()
    return Feature(
        routes=bound(job_routes.ROUTES, JobsService(jobs)),
        metrics=(counts.families,),
        sweeps={"jobs": jobs.forget},
    )


async def _events(ground: Ground, offered: Offered) -> Feature:
    store, counts = EventsRepository(ground.pool), EventCounts()
    tail = offered.tail = EventTail()
    tasks = {
        "public-events": Publishing(store, tail, counts, now=_common_time(ground)).run,
    }
    if ground.settings.redis_url:
        stream = EventStream(ground.settings.redis_url)
        ground.stack.push_async_callback(stream.close)
        tasks["event-stream"] = Streaming(store, stream, tail, counts).run
    return Feature(
        routes=bound(event_routes.ROUTES, EventsService(store, tail)),
        metrics=(counts.families,),
        tasks=tasks,
        sweeps={"public-events": store.forget, "public-event-counts": store.forget_counts},
    )


def job_queue(ground: Ground, offered: Offered, features: Sequence[Feature]) -> JobQueue:
    """The jobs of all features, for the worker of this node."""
    kinds = {kind: how for feature in features for kind, how in feature.jobs.items()}
    return JobQueue(
        offered.jobs,
        kinds,
        offered.job_counts,
        node=f"{platform.node()}:{os.getpid()}",
        now=_common_time(ground),
    )


async def _accounts(ground: Ground, offered: Offered) -> Feature:
    settings, pool, stack = ground.settings, ground.pool, ground.stack
    keys = SigningKeys(_signing_secrets(settings.jwt_secret_key))
    feed = await open_pool(ground.database, size=1)
    stack.push_async_callback(close_pool, feed)
    admission = offered.admission = Admission(
        TokenVerifier(keys, clock=ground.unix_s),
        AccountStandings(pool, feed),
        clock=ground.unix_s,
        steady=boot_s,
        needs_factor=roles_with_factor(settings),
        task_failures=ground.kernel.metrics.task_failures,
    )
    stack.push_async_callback(admission.stop)
    await admission.read_changes()
    hasher = PasswordHasher(settings.bcrypt_cost, share=settings.hashing_per_address)
    stack.callback(hasher.close)
    counts = ThrottleCounts(boot_s, redis_url=settings.redis_url)
    stack.push_async_callback(counts.close)
    throttles = offered.throttles = Throttles(counts, throttle_rules(settings))
    ttl_s = settings.jwt_access_token_expire_minutes * 60
    post = posted_by(offered.messages)
    kept_sessions = SessionsRepository(pool, post)
    sessions = SessionsService(
        kept_sessions,
        RefreshTokens(keys),
        TokenIssuer(keys, ttl_s=ttl_s, clock=ground.unix_s),
        admission,
        throttles,
        session_times(settings),
        new_id=ground.next_uuid,
        # If the clocks of nodes differed, a repetition would look like misuse.
        clock=lambda: ground.kernel.clock.now_us() / 1e6,
    )
    maker, times = Links(base_url(settings)), link_times(settings)
    links = LinksRepository(pool, post, maker, times, ground.next_uuid)
    store = AccountsRepository(pool, links.send_verification)
    logins = LoginThrottle(throttles, LoginAddresses(pool), clock=ground.unix_s)
    mails = MailPreparation(links, clock=ground.unix_s)
    confirmation = Confirmation(store, hasher, logins)
    kept_factors = FactorsRepository(pool, ground.cipher, post, new_id=ground.next_uuid)
    factors = FactorsService(
        kept_factors,
        ChallengesRepository(pool),
        confirmation,
        admission,
        required=roles_with_factor(settings),
        clock=ground.unix_s,
    )
    erasure = ErasureRepository(pool, post, new_id=ground.next_uuid)
    profile = ProfileService(
        store,
        erasure,
        confirmation,
        factors,
        admission,
        grace_s=settings.erasure_grace_days * DAY_S,
        clock=ground.unix_s,
    )
    credentials = CredentialsService(
        confirmation,
        links,
        hasher,
        throttles,
        factors,
        admission,
        new_id=ground.next_uuid,
        clock=ground.unix_s,
        asked=mails.wake,
    )
    accounts = AccountsService(
        store,
        hasher,
        throttles,
        logins,
        sessions,
        factors,
        erasure,
        new_id=ground.next_uuid,
        log_key=keys.newest.secret,
    )

    def take_keys(text: str) -> None:
        keys.replace(_signing_secrets(text))
        admission.forget_all()

    users = UsersService(
        UsersRepository(pool),
        AuditRepository(pool),
        kept_factors,
        admission,
        new_id=ground.next_uuid,
        clock=ground.unix_s,
    )
    invitations = InvitationsService(
        InvitationsRepository(pool, post),
        maker,
        times,
        hasher,
        sessions,
        logins,
        new_id=ground.next_uuid,
        clock=ground.unix_s,
    )
    guest_life = guest_times(settings)
    kept_guests = GuestsRepository(pool, new_id=ground.next_uuid, times=guest_life)
    guests = GuestsService(
        kept_guests,
        TokenIssuer(keys, ttl_s=guest_life.lasts_s, clock=ground.unix_s),
        TokenVerifier(keys, clock=ground.unix_s),
        admission,
        throttles,
        unpaid_seats=ground.kernel.unpaid.of,
        new_id=ground.next_uuid,
        clock=ground.unix_s,
    )
    door = FrontDoor(ground.proxies, refresh_cookie(settings))
    return Feature(
        routes=(
            *bound(auth_routes.ROUTES, AuthParts(accounts, invitations, door)),
            *bound(session_routes.ROUTES, SessionParts(sessions, door)),
            *bound(credential_routes.ROUTES, CredentialParts(credentials, door)),
            *bound(totp_routes.ROUTES, FactorParts(factors, door)),
            *bound(guest_routes.ROUTES, GuestParts(guests, door)),
            *bound(profile_routes.ROUTES, ProfileParts(profile, door)),
            *bound(user_routes.ROUTES, UserParts(users, invitations, door)),
        ),
        metrics=(
            login_families(accounts.logins, sessions.refreshes),
            throttle_families(throttles, counts, hasher),
        ),
        personal=(AccountFacts(pool).disclose,),
        tasks={"account-changes": admission.follow, "account-mails": mails.run},
        sweeps={
            "given-up-accounts": erasure.erase_due,
            "ended-sessions": kept_sessions.forget_ended,
            "ended-guests": kept_guests.forget_due,
        },
        secrets={"JWT_SECRET_KEY": take_keys},
    )


async def _cache(ground: Ground) -> tuple[Cache, tuple[Families, ...]]:
    """What the catalogue is kept in, and its metrics; nothing where the settings say so."""
    settings = ground.settings
    if not settings.catalog_cache_mb:
        return NoCache(), ()
    asking = await open_pool(ground.database, size=1)
    ground.stack.push_async_callback(close_pool, asking)
    versions = CatalogVersions(asking)
    memory = MemoryValues(limit_bytes=settings.catalog_cache_mb << 20)
    shared = None
    if settings.redis_url:
        shared = SharedValues(settings.redis_url)
        ground.stack.push_async_callback(shared.close)
    cache = VersionedCache(versions.now, memory, shared, unix_s=ground.unix_s)
    return cache, (cache_families(cache, memory, shared, versions),)


async def _catalog(ground: Ground, offered: Offered) -> Feature:
    offered.cache, families = await _cache(ground)
    store = offered.catalog = CatalogRepository(ground.pool, ground.reads, offered.cache)
    now = _now(ground.unix_s)
    deletions = offered.deletions = DeletionsRepository(ground.pool, offered.jobs)
    catalog = CatalogService(store, deletions, new_id=ground.next_id, now=now)
    layouts = LayoutsService(store, LayoutsRepository(ground.pool, ground.reads), now=now)
    posters = offered.pictures = PostersService(
        store,
        PostersRepository(ground.pool),
        ImageProcesses(),
        object_store(ground.settings),
        now=now,
    )
    return Feature(
        routes=(
            *bound(movie_routes.ROUTES, catalog),
            *bound(cinema_routes.ROUTES, catalog),
            *bound(screen_routes.ROUTES, catalog),
            *bound(layout_routes.ROUTES, layouts),
            *bound(poster_routes.ROUTES, posters),
        ),
        metrics=families,
        sweeps={"unused-posters": posters.sweep},
        tasks={"catalog-figures": CatalogFigures(store.movie_lists, now=now).run},
    )


async def _seats(ground: Ground, offered: Offered) -> Feature:
    settings = ground.settings
    offered.holds = HoldLimits(offered.throttles, hold_rates(settings))
    seats = offered.seats = SeatsService(
        ground.dispatch, unpaid=unpaid_limits(settings), next_id=ground.next_id
    )
    return Feature(routes=(*bound(seat_routes.ROUTES, seats), *bound(hold_routes.ROUTES, seats)))


async def _concessions(ground: Ground, offered: Offered) -> Feature:
    store = ConcessionsRepository(ground.pool, ground.reads)
    concessions = offered.concessions = ConcessionsService(
        store, new_id=ground.next_id, now=_common_time(ground)
    )
    images = ProductImagesService(
        store, offered.pictures.store, new_id=ground.next_uuid, now=_common_time(ground)
    )
    door = FrontDoor(ground.proxies, refresh_cookie(ground.settings))
    return Feature(
        routes=(
            *bound(concession_routes.ROUTES, ConcessionParts(concessions, door)),
            *bound(product_image_routes.ROUTES, ImageParts(images, door)),
        ),
        sweeps={"concession-orders": store.forget},
    )


async def _pricing(ground: Ground, offered: Offered) -> Feature:
    now = _now(ground.unix_s)
    prices = PricesRepository(ground.pool, ground.reads)
    books = Books(prices)
    offered.sales = SalesService(books)
    promos = PromosRepository(ground.pool, ground.reads)
    uses = PromoUsesRepository(ground.pool)
    codes = offered.codes = CodesService(
        promos, uses, offered.throttles, now_us=ground.dispatch.clock.now_us
    )
    returned = UsesGivenBack(uses, now=_common_time(ground))
    door = FrontDoor(ground.proxies, refresh_cookie(ground.settings))
    parts = PricingParts(
        PricesService(prices, new_id=ground.next_id, now=now),
        QuotesService(
            prices,
            books,
            codes,
            offered.seats,
            offered.sales,
            offered.concessions,
            now_us=ground.dispatch.clock.now_us,
        ),
        door,
    )
    kernel = ground.kernel
    new_prices = NewPrices(prices, books, lambda: kernel.books.versions, kernel.price_by)
    of_promos = PromoParts(PromosService(promos, new_id=ground.next_id, now=now), door)
    return Feature(
        routes=(
            *bound(pricing_routes.ROUTES, parts),
            *bound(promo_routes.ROUTES, of_promos),
        ),
        tasks={"price-books": new_prices.run, "promo-uses": returned.run},
    )


async def _showtimes(ground: Ground, offered: Offered) -> Feature:
    store = ShowtimesRepository(ground.pool, ground.reads, offered.cache)
    showtimes = ShowtimesService(
        store,
        offered.catalog,
        ground.dispatch,
        defaults=sale_rules(ground.settings),
        new_id=ground.next_id,
        now=_now(ground.unix_s),
    )
    calendars = CalendarsService(
        offered.catalog,
        CalendarRepository(ground.pool, ground.reads),
        now=_now(ground.unix_s),
    )
    deleting = Deletions(ground.dispatch, offered.deletions, now=_now(ground.unix_s))
    return Feature(
        routes=(
            *bound(showtime_routes.ROUTES, showtimes),
            *bound(calendar_routes.ROUTES, calendars),
        ),
        jobs={DELETION: JobKind(run=deleting.run)},
    )


async def _schedules(ground: Ground, offered: Offered) -> Feature:
    now = _now(ground.unix_s)
    store = SchedulesRepository(ground.pool, ground.reads, offered.cache)
    counts = ScheduleCounts()
    schedules = SchedulesService(
        store, offered.catalog, offered.jobs, counts, new_id=ground.next_id, now=now
    )
    return Feature(
        routes=bound(schedule_routes.ROUTES, schedules),
        metrics=(counts.families,),
        jobs={KIND: Planning(store, counts, now=now).kind},
        sweeps={"schedule-plans": store.forget},
    )


async def _ledger(ground: Ground, offered: Offered) -> Feature:
    methods = MethodRegistry(demo=ground.settings.demo_payment)
    attempts = AttemptsRepository(ground.pool)
    refunds = offered.refunds = RefundsRepository(ground.pool, ground.reads)
    ledger, counts = LedgerRepository(ground.pool, ground.reads), RefundCounts()
    offered.attempts = AttemptsService(
        ground.dispatch, attempts, refunds, methods, counts, next_id=ground.next_id
    )
    queue = RefundQueue(refunds, attempts, methods, counts, now=_common_time(ground))
    return Feature(
        routes=bound(ledger_routes.ROUTES, LedgerService(ledger)),
        metrics=(counts.families,),
        sweeps={"recognised-revenue": ledger.recognise},
        queues={"refunds": queue},
    )


async def _giftcards(ground: Ground, offered: Offered) -> Feature:
    now = _common_time(ground)
    store = GiftCardsRepository(
        ground.pool, ground.cipher, CashDeskRepository(ground.pool), ground.reads
    )
    cards = offered.gift_cards = GiftCardsService(
        store,
        offered.throttles,
        demo=ground.settings.demo_payment,
        new_id=ground.next_uuid,
        now=now,
    )
    offered.attempts.methods.add(GiftCardMethod(store, now=now))
    order_rows = CardOrdersRepository(ground.pool, offered.messages.enqueue)
    orders = offered.card_orders = CardOrdersService(
        *(order_rows, cards, offered.attempts.methods, offered.throttles),
        most_minor=ground.settings.gift_card_order_max_minor,
        new_id=ground.next_uuid,
        now=now,
    )
    door = FrontDoor(ground.proxies, refresh_cookie(ground.settings))
    return Feature(
        routes=(
            *bound(card_routes.ROUTES, CardParts(cards, door)),
            *bound(card_order_routes.ROUTES, CardOrderParts(orders, door)),
        ),
        tasks={"gift-cards": CardsCredited(store, now=now).run},
        queues={"gift-card-orders": orders},
        sweeps={"gift-card-choices": store.forget, "gift-card-orders": order_rows.forget},
        personal=(GiftCardFacts(ground.pool).disclose,),
    )


async def _loyalty(ground: Ground, offered: Offered) -> Feature:
    now = _common_time(ground)
    store = PointsRepository(ground.pool, ground.reads)
    loyalty = offered.loyalty = LoyaltyService(store, now=now)
    offered.attempts.methods.add(PointsMethod(store, now=now))
    return Feature(
        routes=bound(loyalty_routes.ROUTES, loyalty),
        tasks={"loyalty-points": PointsCredited(store, now=now).run},
        personal=(LoyaltyFacts(ground.pool).disclose,),
    )


async def _bookings(ground: Ground, offered: Offered) -> Feature:
    settings, throttles = ground.settings, offered.throttles
    store = BookingsRepository(ground.pool, ground.reads)
    orders = OrdersRepository(ground.pool, posted_by(offered.messages), times=guest_times(settings))
    billing = BillingRepository(ground.pool)
    bookings = offered.selling = BookingsService(
        ground.dispatch,
        store,
        orders,
        throttles,
        offered.attempts,
        offered.sales,
        offered.codes,
        CashDeskRepository(ground.pool),
        offered.gift_cards,
        offered.loyalty,
        offered.concessions,
        billing,
        unpaid_seats=UnpaidSeats(
            by_customer=settings.unpaid_seats_per_customer,
            by_staff=settings.unpaid_seats_per_staff,
        ),
        next_id=ground.next_id,
    )

    def now() -> datetime:
        return from_us(ground.dispatch.clock.now_us())

    changes = SeatChangesService(
        *(ground.dispatch, store, offered.attempts.methods, offered.sales),
        CashDeskRepository(ground.pool),
        next_id=ground.next_id,
    )
    exchanges = ExchangesRepository(ground.pool)
    exchanging = ExchangesService(
        *(ground.dispatch, exchanges, store, bookings, offered.attempts.methods),
        CashDeskRepository(ground.pool),
        next_id=ground.next_id,
    )
    offered.attempts.methods.add(ExchangeMethod(ground.pool, now=now))
    by_link = offered.orders = OrdersService(orders, bookings, throttles, now=now)
    of_cancelled = BookingsOfCancelled(
        ground.dispatch, store, offered.concessions, ground.pool, offered.messages.enqueue
    )
    unpaid = UnpaidBookings(ground.dispatch, store, offered.attempts, now=now)
    links = OrderLinks(base_url(settings))
    door = FrontDoor(ground.proxies, refresh_cookie(settings))
    of_staff = StaffBookingsRepository(ground.pool, posted_by(offered.messages), ground.reads)
    staff = StaffBookingsService(
        *(of_staff, store, links, throttles), new_id=ground.next_uuid, now=now
    )
    of_moved = BookingsOfMoved(store, ground.pool, offered.messages.enqueue, now=now)
    mails = BookingMails(
        BookingMailsRepository(ground.pool),
        ground.pool,
        offered.messages.enqueue,
        base_url=base_url(settings),
        now=_now(ground.unix_s),
    )
    reminders_kept = RemindersRepository(ground.pool)
    reminders = Reminders(
        *(reminders_kept, ground.pool, offered.messages.enqueue),
        base_url=base_url(settings),
        now=now,
    )
    offered.outgoing.ask_before(CONFIRMED_MESSAGE, mails.is_live)
    offered.outgoing.ask_before(CHANGED_MESSAGE, mails.is_live)
    offered.outgoing.ask_before(REMINDER_MESSAGE, reminders.is_coming)
    offered.outgoing.ask_before(UNPAID_MESSAGE, reminders.is_pending)
    return Feature(
        routes=(
            *bound(booking_routes.ROUTES, BookingParts(bookings, door)),
            *bound(change_routes.ROUTES, ChangeParts(changes, door)),
            *bound(exchange_routes.ROUTES, ExchangeParts(exchanging, door)),
            *bound(staff_routes.ROUTES, StaffParts(staff, door)),
            *bound(billing_routes.ROUTES, BillingService(store, billing, now=now)),
            *bound(order_routes.ROUTES, OrderParts(by_link, ground.proxies)),
        ),
        jobs={
            SHOWTIME_CANCELLATION: JobKind(run=of_cancelled.run),
            SHOWTIME_MOVE: JobKind(run=of_moved.run),
        },
        personal=(BookingFacts(ground.pool).disclose,),
        queues={"order-links": OwedMails(orders, links, now=now)},
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


async def _payments(ground: Ground, offered: Offered) -> Feature:
    payments = PaymentsService(
        offered.attempts,
        PaymentsRepository(ground.reads or PrimaryReads(ground.pool)),
        BookingsRepository(ground.pool, ground.reads),
        CashDeskRepository(ground.pool),
        offered.gift_cards,
        offered.loyalty,
        now=_common_time(ground),
    )
    refunds = RefundsService(
        offered.refunds,
        BookingsRepository(ground.pool, ground.reads),
        offered.selling,
        CashDeskRepository(ground.pool),
        offered.gift_cards,
        new_id=ground.next_uuid,
        now=_common_time(ground),
    )
    door = FrontDoor(ground.proxies, refresh_cookie(ground.settings))
    stripe = _stripe(ground, offered)
    routes = (
        *bound(payment_routes.ROUTES, payments),
        *bound(refund_routes.ROUTES, RefundParts(refunds, door, offered.orders, ground.proxies)),
    )
    return msgspec.structs.replace(stripe, routes=(*routes, *stripe.routes))


def _stripe(ground: Ground, offered: Offered) -> Feature:
    """Payments by Stripe; without a key there is no such method, and webhooks are refused."""
    settings, now = ground.settings, _common_time(ground)
    client = StripeClient(settings.stripe_secret_key, base=settings.stripe_api_base)
    ground.stack.push_async_callback(client.close)
    rows, counts = AttemptsRepository(ground.pool), StripeCounts()
    tasks = StripeRepository(ground.pool, now=now)
    payments = StripePayments(
        client,
        offered.attempts,
        rows,
        tasks,
        counts,
        offered.card_orders,
        secrets=webhook_secrets(settings.stripe_webhook_secret),
        unix_s=ground.unix_s,
    )
    method = StripeMethod(client, payments, now=now)
    if client.has_key:
        offered.attempts.methods.add(method)
    work = StripeTasks(
        client,
        method,
        payments,
        Reconciliation(client, payments, tasks),
        rows,
        tasks,
        counts,
        ground.pool,
        offered.messages.enqueue,
        now=now,
    )
    return Feature(
        routes=bound(stripe_routes.ROUTES, StripeParts(payments, DifferencesService(tasks))),
        metrics=(counts.families,),
        queues={"stripe": work},
        sweeps={"stripe-tasks": tasks.forget},
        secrets={
            "STRIPE_SECRET_KEY": lambda text: client.use_key(
                stripe_key(text, production=settings.production)
            ),
            "STRIPE_WEBHOOK_SECRET": lambda text: payments.sign_by(webhook_secrets(text)),
        },
    )


async def _cashdesk(ground: Ground, _offered: Offered) -> Feature:
    desk = CashDeskService(
        CashDeskRepository(ground.pool),
        NoSigner(),
        new_id=ground.next_id,
        now=_now(ground.unix_s),
    )
    door = FrontDoor(ground.proxies, refresh_cookie(ground.settings))
    return Feature(routes=bound(cash_routes.ROUTES, DeskParts(desk, door)))


async def _tickets(ground: Ground, offered: Offered) -> Feature:
    now, keys = _common_time(ground), TicketKeys(_ticket_keys(ground.settings.ticket_signing_keys))
    store, scans = TicketsRepository(ground.pool, ground.reads), ScansRepository(ground.pool)
    counts = ScanCounts()
    tickets = TicketsService(store, keys, offered.printing, new_id=ground.next_uuid, now=now)
    tickets.offer_passes(_passes(ground.settings.wallet_pass_certificate))
    devices = DevicesService(DevicesRepository(ground.pool), new_id=ground.next_uuid, now=now)

    async def enclose(order: Mapping[str, Any], language: str) -> Sequence[Enclosure]:
        # Orders of the builds before this one do not say which booking they are about.
        booking_id = order.get("booking_id")
        return () if booking_id is None else await tickets.enclosed(UUID(booking_id), language)

    offered.outgoing.enclose(ORDER_LINK, enclose)
    offered.outgoing.enclose(AGAIN, enclose)
    offered.outgoing.enclose(CONFIRMED_MESSAGE, enclose)
    offered.outgoing.enclose(CHANGED_MESSAGE, enclose)
    scanning = ScansService(scans, tickets, keys, counts, new_id=ground.next_uuid, now=now)
    offline = OfflineService(scans, store, keys, counts, now=now)
    door = FrontDoor(ground.proxies, refresh_cookie(ground.settings))
    return Feature(
        routes=(
            *bound(ticket_routes.ROUTES, TicketParts(tickets, door)),
            *bound(scan_routes.ROUTES, ScanParts(scanning, offline, devices, door)),
            *bound(device_routes.ROUTES, DeviceParts(devices, door)),
        ),
        metrics=(counts.families,),
        sweeps={"ticket-scans": scans.forget},
        secrets={
            "TICKET_SIGNING_KEYS": lambda text: keys.replace(_ticket_keys(text)),
            "WALLET_PASS_CERTIFICATE": lambda text: tickets.offer_passes(_passes(text)),
        },
    )


async def _invoices(ground: Ground, offered: Offered) -> Feature:
    now = _common_time(ground)
    store = InvoicesRepository(
        ground.pool,
        ground.reads or PrimaryReads(ground.pool),
        new_id=ground.next_uuid,
        now=now,
    )
    offered.printing = ForkServer((PRINTING_DOCUMENTS, PRINTING_TICKETS))
    ground.stack.push_async_callback(offered.printing.close)
    counts, checked = InvoiceCounts(), CheckCounts()
    invoices = InvoicesService(store, offered.printing)
    checking = Checking(ChecksRepository(ground.pool), store, checked, now=now)

    async def enclose(receipt: Mapping[str, Any], language: str) -> Sequence[Enclosure]:
        return await invoices.enclosed(UUID(receipt["booking_id"]), language)

    offered.outgoing.enclose(RECEIPT_MESSAGE, enclose, never_without=True)
    return Feature(
        routes=bound(invoice_routes.ROUTES, InvoiceParts(invoices, offered.orders, ground.proxies)),
        metrics=(counts.families, checked.families),
        personal=(InvoiceFacts(ground.pool, invoices.pdf).disclose,),
        tasks={"invoices": Issuing(store, counts, now=now).run, "invoice-checks": checking.run},
    )


async def _reports(ground: Ground, _offered: Offered) -> Feature:
    returns = ReturnsRepository(ground.pool, new_id=ground.next_uuid)
    reports = ReportsService(returns, now=_now(ground.unix_s))
    projection, counts = ProjectionRepository(ground.pool), FigureCounts()
    reads = ground.reads or PrimaryReads(ground.pool)
    figures = FiguresService(
        FiguresRepository(reads),
        projection,
        ExperimentsRepository(reads),
        now=_common_time(ground),
    )
    return Feature(
        routes=(
            *bound(report_routes.ROUTES, reports),
            *bound(admin_report_routes.ROUTES, figures),
        ),
        metrics=(counts.families,),
        tasks={
            "report-figures": FiguresKept(
                projection, FunnelRepository(ground.pool), counts, now=_common_time(ground)
            ).run
        },
    )


async def _reviews(ground: Ground, offered: Offered) -> Feature:
    settings = ground.settings
    store = ReviewsRepository(ground.pool, ground.reads)
    reviews = ReviewsService(
        store,
        offered.catalog,
        WordList(settings.review_words),
        needs_scan=settings.reviews_need_scan,
        new_id=ground.next_uuid,
        now=_common_time(ground),
    )
    door = FrontDoor(ground.proxies, refresh_cookie(settings))
    return Feature(
        routes=bound(review_routes.ROUTES, ReviewParts(reviews, door)),
        personal=(ReviewFacts(ground.pool).disclose,),
        sweeps={"deleted-reviews": store.forget},
    )


async def _recommendations(ground: Ground, _offered: Offered) -> Feature:
    now, current = _common_time(ground), CurrentModel()
    store = RecommendationsRepository(ground.pool, ground.reads, new_id=ground.next_uuid)
    programme = Programme(store, now=now)
    visits = Visits()
    service = RecommendationsService(
        store,
        programme,
        current,
        visits,
        new_id=ground.next_uuid,
        now=now,
        random=random.Random(),
        experiment=_experiment(ground.settings.recommendation_experiment),
    )
    models = Models(ModelRepository(ground.pool), programme, current, building(), now=now)
    return Feature(
        routes=bound(recommendation_routes.ROUTES, service),
        personal=(RecommendationFacts(ground.pool).disclose,),
        tasks={
            "recommendation-model": models.run,
            "showtime-visits": VisitsWritten(visits, VisitsRepository(ground.pool)).run,
        },
        sweeps={
            "recommendation-exposures": store.forget_exposures,
            "recommendation-events": store.forget_events,
        },
    )


async def _webhooks(ground: Ground, _offered: Offered) -> Feature:
    allowed, now = ground.settings.webhook_allowed_networks, _common_time(ground)
    store, counts = WebhooksRepository(ground.pool, ground.cipher), WebhookCounts()
    sender = WebhookSender(networks(allowed))
    ground.stack.callback(sender.close)
    service = WebhooksService(store, plain=bool(allowed), new_id=ground.next_uuid, now=now)
    door = FrontDoor(ground.proxies, refresh_cookie(ground.settings))
    return Feature(
        routes=bound(webhook_routes.ROUTES, WebhookParts(service, door)),
        metrics=(counts.families,),
        tasks={"webhooks-handed-out": HandingOut(store, now=now).run},
        queues={"webhooks": Deliveries(store, sender, counts, now=now)},
        at_once={"webhooks": WEBHOOKS_AT_ONCE},
        sweeps={"webhook-deliveries": store.forget},
    )


async def _watching(ground: Ground, offered: Offered) -> Feature:
    hub = offered.hub = WatchHub(
        ground.dispatch,
        offered.seats,
        offered.admission.verify,
        offered.admission.look_up,
        ground.writer.allows_origin,
        watch_options(ground.settings, owner_of(ground.cluster)),
        holds=offered.holds,
        throttles=offered.throttles,
        turns=ground.turns,
        key_of=ground.proxies.client_key,
    )
    return Feature(routes=bound(watch_routes.ROUTES, hub), metrics=(watch_families(hub),))


async def _privacy(ground: Ground, offered: Offered) -> Feature:
    settings, clock = ground.settings, ground.unix_s
    exports = ExportsRepository(
        ground.pool,
        ground.cipher,
        offered.jobs,
        posted_by(offered.messages),
        new_id=ground.next_uuid,
    )
    maker = ExportMaker(
        exports,
        offered.personal,
        base_url=base_url(settings),
        link_days=settings.export_link_days,
        now=_now(clock),
    )
    service = ExportsService(
        exports,
        JobsService(offered.jobs),
        offered.throttles,
        per_day=settings.exports_per_day_per_user,
        clock=clock,
    )
    door = FrontDoor(ground.proxies, refresh_cookie(settings))
    return Feature(
        routes=bound(export_routes.ROUTES, ExportParts(service, door)),
        jobs={EXPORT_KIND: JobKind(run=maker.run, at_once=1)},
        sweeps={"account-exports": exports.forget},
    )


async def _website(ground: Ground, _offered: Offered) -> Feature:
    settings = ground.settings
    accounts: tuple[DemoAccount, ...] = ()
    if settings.demo_data and not settings.production:
        from cinema.demo.seed import DEMO_ACCOUNTS

        accounts = tuple(
            DemoAccount(role=role, email=email, password=password)
            for role, (email, password) in DEMO_ACCOUNTS.items()
        )
    site = Site(
        demo_accounts=accounts,
        demo_payment=settings.demo_payment,
        stripe_key=settings.stripe_publishable_key or None,
    )
    website = WebsiteService(site)
    (fallback,) = bound(website_routes.FALLBACK_ROUTES, website)
    return Feature(
        routes=bound(website_routes.ROUTES, website),
        fallback=fallback,
    )


async def _operations(ground: Ground, _offered: Offered) -> Feature:
    settings, pool, durability = ground.settings, ground.pool, ground.durability
    families = [
        kernel_families(ground.kernel),
        log_families(lambda: ground.sink.dropped_chunks, ground.sink.events),
        durability_families(lambda: len(durability.risks), lambda: durability.changes),
        disk_families(_existing(settings.data_dir)),
        pool_families(pool.get_size, pool.get_idle_size, settings.database_pool_size),
    ]
    if ground.cluster is not None:
        families.append(cluster_families(ground.cluster))
    if ground.reads is not None:
        families.append(replica_families(ground.reads.outcomes))
    checks: dict[str, Callable[[], Awaitable[str | None]]] = {
        "database": partial(_database, pool),
        "durability": durability.ready,
        "disk": partial(_disk, settings.data_dir),
    }
    if ground.cluster is not None:
        checks["cluster"] = partial(_membership, ground.cluster)
    return Feature(
        routes=(
            *bound(health_routes.ROUTES, HealthParts(checks, ground.metrics)),
            *bound(
                live_routes.ROUTES,
                LiveService(
                    ground.nodes,
                    LiveRepository(PrimaryReads(pool)),
                    now=_common_time(ground),
                ),
            ),
        ),
        metrics=tuple(families),
    )


async def _waitlist(ground: Ground, offered: Offered) -> Feature:
    waitlists = WaitlistService(
        ground.dispatch, unpaid=unpaid_limits(ground.settings), next_id=ground.next_id
    )
    told = OffersTold(
        ground.dispatch,
        OffersRepository(ground.pool),
        ground.pool,
        offered.messages.enqueue,
        base_url=base_url(ground.settings),
        now=_common_time(ground),
    )
    offered.outgoing.ask_before(OFFER_MESSAGE, told.is_open)
    return Feature(
        routes=bound(waitlist_routes.ROUTES, waitlists), tasks={"waitlist-offers": told.run}
    )


async def _waitingroom(ground: Ground, offered: Offered) -> Feature:
    now, new_id = _common_time(ground), ground.next_uuid
    store = RoomsRepository(ground.pool, ground.cipher)
    gates = Gates(store.inside, now_us=ground.kernel.clock.now_us)
    rooms = WaitingRoomService(
        *(store, gates, ground.dispatch, PlaceTokens(ground.cipher), offered.throttles),
        new_id=new_id,
        random=secrets.token_bytes,
        now=now,
    )
    feed = offered.hub.places = PlaceFeed(rooms)
    paced = RoomsPaced(
        *(store, gates, offered.seats.seats, feed),
        new_id=new_id,
        random=secrets.token_bytes,
        now=now,
    )
    # Before the first request: a node that did not know of a room would let everybody in.
    await paced.look()
    offered.seats.guard_by(gates.by_showtime)
    return Feature(
        routes=bound(room_routes.ROUTES, RoomParts(rooms, ground.proxies, page_files())),
        metrics=(room_families(gates, rooms, paced, now=now),),
        personal=(PlaceFacts(ground.pool).disclose,),
        tasks={"waiting-rooms": paced.run, "waiting-room-looks": gates.run},
        sweeps={"waiting-rooms": store.forget},
    )


FEATURES: Final[dict[str, Listed]] = {
    "messages": Listed(_messages),
    "jobs": Listed(_jobs),
    "events": Listed(_events),
    "accounts": Listed(_accounts),
    "catalog": Listed(_catalog),
    "seats": Listed(_seats),
    "concessions": Listed(_concessions),
    "pricing": Listed(_pricing, rows=PRICING_BRANCHES),
    "showtimes": Listed(_showtimes, rows=SHOWTIME_BRANCHES),
    "ledger": Listed(_ledger, rows=LEDGER_BRANCHES),
    "giftcards": Listed(_giftcards),
    "loyalty": Listed(_loyalty, rows=LOYALTY_BRANCHES),
    "bookings": Listed(_bookings, rows=BOOKING_BRANCHES),
    "watching": Listed(_watching),
    "payments": Listed(_payments),
    "cashdesk": Listed(_cashdesk),
    "invoices": Listed(_invoices, rows=INVOICE_BRANCHES),
    "tickets": Listed(_tickets, rows=TICKET_BRANCHES),
    "reports": Listed(_reports),
    "reviews": Listed(_reviews),
    "recommendations": Listed(_recommendations),
    "waitingroom": Listed(_waitingroom),
    "waitlist": Listed(_waitlist, rows=WAITLIST_BRANCHES),
    "schedules": Listed(_schedules),
    "webhooks": Listed(_webhooks),
    "privacy": Listed(_privacy),
    "website": Listed(_website),
    "operations": Listed(_operations),
}
"""Each is built with what the earlier ones offer; `cinema/features` has a folder of each name."""


async def build_features(ground: Ground, offered: Offered) -> list[Feature]:
    """All features of a node, in their order."""
    features = []
    for listed in FEATURES.values():
        features.append(feature := await listed.build(ground, offered))
        offered.personal += feature.personal
    return features


def row_branches() -> RowBranches:
    """The rows that all features write with the events of showtimes."""
    return RowBranches([branch for feature in FEATURES.values() for branch in feature.rows])


def silent_branches() -> RowBranches:
    """The same rows, but for what others are told of: for what happened before."""
    branches = row_branches().branches
    return RowBranches([one for one in branches if not one.name.endswith("_told")])


def owner_of(cluster: ClusterNode | None) -> Callable[[bytes], str | None] | None:
    """A function from a showtime to its owner's address; None if there is only this node."""
    return None if cluster is None else cluster.placement.address_of_owner


async def _database(pool: Pool) -> str | None:
    async with pool.acquire() as connection:
        await connection.execute("select 1")
    return None


async def _disk(folder: Path) -> str | None:
    free = shutil.disk_usage(_existing(folder)).free
    return None if free >= DISK_FREE_BYTES_MIN else "too little free space"


async def _membership(cluster: ClusterNode) -> str | None:
    if cluster.is_ready:
        return None
    return "draining" if cluster.draining else "not a member yet"


def _existing(folder: Path) -> Path:
    """The folder, or the nearest parent that exists, for a node without data of its own."""
    while not folder.exists():
        folder = folder.parent
    return folder


def _smtp(url: str) -> SmtpSender:
    """The way of mails by a server. Raises `ValueError`."""
    return SmtpSender(**smtp_server(url)._asdict())


def _signing_secrets(text: str) -> list[bytes]:
    """The keys in `text`, newest first. Raises `ValueError`."""
    problems = list(problems_of_signing_keys(text))
    if problems:
        raise ValueError("; ".join(problems))
    return [key.encode() for key in signing_keys(text)]


def _ticket_keys(text: str) -> tuple[bytes, ...]:
    """The keys in `text`, newest first. Raises `ValueError`."""
    problems = list(problems_of_ticket_keys(text, production=False))
    if problems:
        raise ValueError("; ".join(problems))
    return encryption_keys(text)


def _passes(text: str) -> ApplePasses | None:
    """What makes tickets for wallets; None without a certificate. Raises `ValueError`."""
    identity = pass_identity(text)
    return None if identity is None else ApplePasses(identity)


def _experiment(text: str) -> Experiment | None:
    """What is compared among recommendations, if anything."""
    if not text:
        return None
    name, arms = experiment_of(text)
    return Experiment(name=name, arms=arms)


def _common_time(ground: Ground) -> Callable[[], datetime]:
    """The time that all nodes share: by it one knows that another's lease has ended."""
    return lambda: from_us(ground.kernel.clock.now_us())


def _now(unix_s: TimeSource) -> Callable[[], datetime]:
    """The present time in the form that services need."""
    return lambda: datetime.fromtimestamp(unix_s(), UTC)
