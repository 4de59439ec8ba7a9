"""The parts of the settings that the packages below features receive; these never see the rest.

What a feature receives is in its own `build.py`.
"""

from __future__ import annotations

from cinema.actors.settings import KernelSettings
from cinema.domain.sale_rules import SaleRules
from cinema.integrations.objects import ObjectStore
from cinema.integrations.objects.folder import FolderObjects
from cinema.integrations.objects.s3 import S3Objects
from cinema.settings import Settings


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
