"""The parts of the settings that each package receives; packages do not know the settings."""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from cinema.actors.settings import KernelSettings
from cinema.domain.principal import ROLES
from cinema.domain.sale_rules import SaleRules
from cinema.features.accounts.guest_rules import GuestTimes
from cinema.features.accounts.link_rules import LinkTimes
from cinema.features.accounts.refresh_cookie import RefreshCookie
from cinema.features.accounts.session_rules import SessionTimes
from cinema.features.accounts.throttles import ThrottleRules
from cinema.features.seats.hold_limits import HoldRates
from cinema.features.seats.service import UnpaidLimits
from cinema.features.watching.options import WatchOptions
from cinema.http.steps import OwnerOf
from cinema.integrations.objects import ObjectStore
from cinema.integrations.objects.folder import FolderObjects
from cinema.integrations.objects.s3 import S3Objects
from cinema.settings import Settings, origin_of, url_of

MINUTE_S: Final = 60
HOUR_S: Final = 3600
DAY_S: Final = 86_400

Part = TypeVar("Part", ThrottleRules, HoldRates, UnpaidLimits)


def kernel_settings(settings: Settings) -> KernelSettings:
    """The kernel's part of the settings."""
    return KernelSettings(
        commit_lanes=settings.commit_lanes,
        lease_ms=settings.lease_ms,
        snapshot_every_events=settings.snapshot_every_events,
        mailbox_limit=settings.mailbox_limit,
        node_waiting_limit=settings.node_waiting_limit,
        overloaded_after_ms=settings.overloaded_after_ms,
        command_deadline_ms=settings.command_deadline_ms,
        max_resident_showtimes=settings.max_resident_showtimes,
        # A watched showtime stays in memory.
        max_watched_showtimes=settings.max_resident_showtimes,
        idle_passivation_s=settings.idle_passivation_seconds,
        batch_limit_events=settings.batch_limit_events,
    )


def throttle_rules(settings: Settings) -> ThrottleRules:
    """The throttles; each has a setting of its name."""
    return _part_of(settings, ThrottleRules)


def hold_rates(settings: Settings) -> HoldRates:
    """The rate limits of holds; each has a setting of its name."""
    return _part_of(settings, HoldRates)


def session_times(settings: Settings) -> SessionTimes:
    """How long sessions live."""
    return SessionTimes(
        idle_s=settings.refresh_idle_days * DAY_S,
        total_s=settings.refresh_total_days * DAY_S,
        grace_s=settings.refresh_grace_seconds,
    )


def guest_times(settings: Settings) -> GuestTimes:
    """How long guests live, and how long their data is kept."""
    return GuestTimes(lasts_s=settings.guest_hours * HOUR_S, kept_days=settings.order_link_days)


def link_times(settings: Settings) -> LinkTimes:
    """How long links in mails are valid."""
    return LinkTimes(
        reset_s=settings.reset_link_minutes * MINUTE_S,
        verify_s=settings.verification_link_hours * HOUR_S,
        change_s=settings.email_change_link_hours * HOUR_S,
        undo_s=settings.email_undo_days * DAY_S,
        invitation_s=settings.invitation_link_days * DAY_S,
    )


def roles_with_factor(settings: Settings) -> frozenset[str]:
    """The roles that need a second factor."""
    lowest = settings.mfa_required_for
    return frozenset(ROLES[ROLES.index(lowest) :]) if lowest in ROLES else frozenset()


def base_url(settings: Settings) -> str:
    """Where links in mails lead; a request cannot choose that."""
    return settings.public_url or url_of(settings.host, settings.port)


def object_store(settings: Settings) -> ObjectStore:
    """Where uploaded files are."""
    if not settings.s3_url:
        return FolderObjects(settings.uploads)
    return S3Objects(
        settings.s3_url,
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        access_key_id=settings.s3_access_key_id,
        secret_access_key=settings.s3_secret_access_key,
    )


def refresh_cookie(settings: Settings) -> RefreshCookie:
    """The cookie of refresh tokens; in development, without TLS, it is not a secure cookie."""
    return RefreshCookie(
        secure=settings.production or settings.public_url.startswith("https://"),
        own_origin=origin_of(settings.public_url),
        allowed_origins=settings.allowed_origins,
    )


def _part_of(settings: Settings, part: type[Part]) -> Part:
    names = (field.name for field in msgspec.structs.fields(part))
    return part(**{name: getattr(settings, name) for name in names})


def sale_rules(settings: Settings) -> SaleRules:
    """The rules of showtimes and screens that have none of their own."""
    return SaleRules(
        seats_per_hold=settings.seats_per_hold,
        live_holds_per_customer=settings.live_holds_per_customer,
        seats_per_staff_hold=settings.seats_per_staff_hold,
        live_holds_per_staff=settings.live_holds_per_staff,
        hold_ttl_s=settings.seat_hold_ttl_seconds,
        hold_max_s=settings.seat_hold_max_seconds,
        payment_window_s=settings.payment_window_seconds,
        payment_grace_s=settings.payment_grace_seconds,
    )


def unpaid_limits(settings: Settings) -> UnpaidLimits:
    """The limits of unpaid seats; each has a setting of its name."""
    return _part_of(settings, UnpaidLimits)


def watch_options(settings: Settings, owner_of: OwnerOf | None) -> WatchOptions:
    """The part for watch sockets."""
    return WatchOptions(
        sockets_limit=settings.watchers_limit,
        coalesce_s=settings.watch_coalesce_ms / 1000,
        frame_limit_bytes=settings.ws_frame_limit_bytes,
        commands_in_flight=settings.ws_commands_in_flight,
        pending_limit_bytes=settings.ws_pending_limit_bytes,
        heartbeat_s=settings.ws_heartbeat_seconds,
        sockets_per_address=settings.watchers_per_address,
        sockets_per_user=settings.watchers_per_user,
        owner_of=owner_of,
    )
