"""Rows that showtimes write with their events: what is sold, when, and whether sales pause."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from cinema.domain.ids import format_id
from cinema.domain.showtime.events import (
    Event,
    PlanChanged,
    SalesPaused,
    SalesResumed,
    ShowtimeCancelled,
    TermsChanged,
)
from cinema.domain.times import from_us
from cinema.features.jobs.rows import JobRow, job_branch
from cinema.storage.journal.branches import Happened, RowBranch
from cinema.storage.journal.outbox import OutboxRow, outbox_branch

SHOWTIME_CANCELLATION: Final = "showtime_cancellation"
"""The kind of job that cancels the bookings of a showtime."""

SHOWTIME_MOVE: Final = "showtime_move"
"""The kind of job that tells those who have booked that their showtime was moved."""

SHOWTIME_RESCHEDULED: Final = "showtime.rescheduled"
SHOWTIME_MOVED: Final = "showtime.moved"
SHOWTIME_CANCELLED: Final = "showtime.cancelled"
"""What the outbox tells: moved so far that customers may give all back, or only to another screen;
or not to take place."""


class Switched(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """New values of a showtime; None leaves a value as it is.

    Except who has changed it: without `changed_by` nobody is known.
    """

    changed_at_us: int
    changed_by: str | None = None
    layout_version: int | None = None
    paused: bool | None = None
    version: int | None = None
    cancelled_at_us: int | None = None
    cancel_reason: str | None = None
    cancelled_bookings: int | None = None
    cancel_job_id: str | None = None
    movie_id: str | None = None
    screen_id: str | None = None
    starts_at_us: int | None = None
    ends_at_us: int | None = None
    clear_at_us: int | None = None
    local_date: str | None = None
    base_price_minor: int | None = None
    price_overrides: dict[str, int] | None = None
    format: str | None = None
    language: str | None = None
    sales_opens_at_us: int | None = None
    sales_closes_at_us: int | None = None
    rules: msgspec.Raw | None = None
    promised_start_us: int | None = None
    free_refund_until_us: int | None = None


def _switched(happened: Happened) -> Sequence[Switched]:
    event, at_us = happened.event, happened.at_us
    if isinstance(event, PlanChanged):
        if event.moved is None:
            return [
                Switched(
                    changed_at_us=at_us,
                    changed_by=_who(event.by),
                    layout_version=event.layout_version,
                    version=event.terms_version or None,
                )
            ]
        moved = _terms(event.moved, at_us)
        screen_id = format_id(event.moved.conditions.screen_id)
        return [
            msgspec.structs.replace(moved, layout_version=event.layout_version, screen_id=screen_id)
        ]
    if isinstance(event, ShowtimeCancelled):
        return [
            Switched(
                changed_at_us=at_us,
                changed_by=_who(event.by),
                version=event.version,
                cancelled_at_us=at_us,
                cancel_reason=event.reason,
                cancelled_bookings=event.bookings,
                cancel_job_id=format_id(event.job_id) if event.job_id else None,
            )
        ]
    if isinstance(event, TermsChanged):
        return [_terms(event, at_us)]
    version, paused = happened.terms.version + 1, isinstance(event, SalesPaused)
    return [Switched(changed_at_us=at_us, paused=paused, version=version)]


def _who(by: bytes) -> str | None:
    return format_id(by) if by else None


def _terms(event: TermsChanged, at_us: int) -> Switched:
    now = event.conditions
    return Switched(
        changed_at_us=at_us,
        changed_by=_who(event.by),
        version=event.version,
        movie_id=format_id(now.movie_id),
        starts_at_us=now.starts_at_us,
        ends_at_us=now.ends_at_us,
        clear_at_us=now.clear_at_us,
        local_date=now.local_date,
        base_price_minor=now.base_price_minor,
        price_overrides=dict(now.price_overrides),
        format=now.format,
        language=now.language,
        sales_opens_at_us=now.sales_opens_at_us,
        sales_closes_at_us=now.sales_closes_at_us,
        rules=msgspec.Raw(now.rules.encode()),
        promised_start_us=event.promised_start_us,
        free_refund_until_us=event.free_refund_until_us or None,
    )


def _moment(column: str, field: str) -> str:
    """A column that is set to a moment in microseconds, unless that is null."""
    return (
        f"{column} = coalesce('epoch'::timestamptz + r.{field} * interval '1 microsecond', "
        f"t.{column})"
    )


def _value(column: str) -> str:
    return f"{column} = coalesce(r.{column}, t.{column})"


_SET: Final = ",\n        ".join(
    (
        *map(
            _value,
            (
                "layout_version",
                "version",
                "cancel_reason",
                "cancelled_bookings",
                "cancel_job_id",
                "movie_id",
                "screen_id",
                "local_date",
                "base_price_minor",
                "price_overrides",
                "format",
                "language",
                "rules",
            ),
        ),
        "screen_no = coalesce((select screen_no from screens where id = r.screen_id), t.screen_no)",
        "sales_paused = coalesce(r.paused, t.sales_paused)",
        "status = case when r.cancelled_at_us is null then t.status else 'cancelled' end",
        "updated_by = r.changed_by",
        _moment("updated_at", "changed_at_us"),
        _moment("cancelled_at", "cancelled_at_us"),
        _moment("starts_at", "starts_at_us"),
        _moment("ends_at", "ends_at_us"),
        _moment("clear_at", "clear_at_us"),
        _moment("sales_opens_at", "sales_opens_at_us"),
        _moment("sales_closes_at", "sales_closes_at_us"),
        _moment("promised_starts_at", "promised_start_us"),
        _moment("free_refund_until", "free_refund_until_us"),
    )
)

SWITCHED: Final = RowBranch(
    name="switched",
    events=(PlanChanged, SalesPaused, SalesResumed, TermsChanged, ShowtimeCancelled),
    rows=_switched,
    columns="changed_at_us bigint, changed_by uuid, layout_version int, paused boolean, "
    "version int, cancelled_at_us bigint, "
    "cancel_reason text, cancelled_bookings int, cancel_job_id uuid, movie_id uuid, "
    "screen_id uuid, starts_at_us bigint, ends_at_us bigint, clear_at_us bigint, "
    "local_date date, base_price_minor bigint, price_overrides jsonb, "
    "format text, language text, sales_opens_at_us bigint, sales_closes_at_us bigint, "
    "rules jsonb, promised_start_us bigint, free_refund_until_us bigint",
    sql=f"""
    update showtimes t
    set {_SET}
    from $rows r
    where t.id = r.showtime_id""",  # noqa: S608  (put together from the constants of this module)
    updates=True,
)


class OnScreen(msgspec.Struct, frozen=True, gc=False):
    """The screen that a showtime has from this version of its plan on."""

    from_version: int
    screen_id: str


def _screens(happened: Happened) -> Sequence[OnScreen]:
    event = happened.event
    assert isinstance(event, PlanChanged)
    if event.moved is None:
        return []
    return [
        OnScreen(0, format_id(happened.terms.screen_id)),
        OnScreen(event.layout_version, format_id(event.moved.conditions.screen_id)),
    ]


SCREENS: Final = RowBranch(
    name="screens",
    events=(PlanChanged,),
    rows=_screens,
    columns="from_version int, screen_id uuid",
    sql="""
    insert into showtime_screens (showtime_id, from_version, screen_id)
    select r.showtime_id, r.from_version, r.screen_id from $rows r
    on conflict do nothing""",
)


class OfShowtime(msgspec.Struct, frozen=True, gc=False):
    """What the job of a cancelled showtime starts from."""

    showtime_id: str


class Moved(msgspec.Struct, frozen=True, gc=False):
    """What those who have booked are told of: a showtime, and where and when it was before."""

    showtime_id: str
    changed_at_us: int
    starts_at_us: int
    screen_id: str


def _changed(event: Event) -> TermsChanged | None:
    """The terms that an event changes, on the same screen or another."""
    if isinstance(event, PlanChanged):
        return event.moved
    return event if isinstance(event, TermsChanged) else None


def _jobs(happened: Happened) -> Sequence[JobRow]:
    event, terms = happened.event, happened.terms
    showtime_id, at_us = format_id(terms.showtime_id), happened.at_us
    changed = _changed(event)
    total: int | None = None
    if isinstance(event, ShowtimeCancelled):
        kind, job_id = SHOWTIME_CANCELLATION, event.job_id
        total = event.bookings + len(event.unpaid)
        given: msgspec.Struct = OfShowtime(showtime_id)
    elif changed is not None:
        kind, job_id = SHOWTIME_MOVE, changed.job_id
        given = Moved(showtime_id, at_us, terms.starts_at_us, format_id(terms.screen_id))
    else:
        return []
    if not job_id:
        return []
    return [
        JobRow(
            id=format_id(job_id),
            kind=kind,
            cinema_id=format_id(terms.cinema_id),
            input=_json(given),
            total=total,
            at_us=at_us,
        )
    ]


JOBS: Final = job_branch("jobs_of_showtimes", (ShowtimeCancelled, TermsChanged, PlanChanged), _jobs)


class StartAndScreen(msgspec.Struct, frozen=True, gc=False):
    """When and where a showtime is, as partners are told."""

    starts_at: str
    screen_id: str


class MoveTold(msgspec.Struct, frozen=True, gc=False):
    """The outbox row of a showtime that was moved; `free_refund_until` if it was moved far."""

    before: StartAndScreen
    after: StartAndScreen
    free_refund_until: str | None


class CancellationTold(msgspec.Struct, frozen=True, gc=False):
    """The outbox row of a showtime that was cancelled, with so many bookings."""

    reason: str
    bookings: int


def _told(happened: Happened) -> Sequence[OutboxRow]:
    event, terms = happened.event, happened.terms
    if isinstance(event, ShowtimeCancelled):
        cancelled = CancellationTold(event.reason, event.bookings)
        return [OutboxRow(SHOWTIME_CANCELLED, _json(cancelled))]
    changed = _changed(event)
    if changed is None:
        return []
    now, until_us = changed.conditions, changed.free_refund_until_us
    is_far = until_us != terms.free_refund_until_us
    if not is_far and now.screen_id == terms.screen_id:
        return []
    moved = MoveTold(
        before=_place(terms.starts_at_us, terms.screen_id),
        after=_place(now.starts_at_us, now.screen_id),
        free_refund_until=from_us(until_us).isoformat() if is_far else None,
    )
    return [OutboxRow(SHOWTIME_RESCHEDULED if is_far else SHOWTIME_MOVED, _json(moved))]


def _place(starts_at_us: int, screen_id: bytes) -> StartAndScreen:
    return StartAndScreen(from_us(starts_at_us).isoformat(), format_id(screen_id))


def _json(value: msgspec.Struct) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


TOLD: Final = outbox_branch("showtimes_told", (ShowtimeCancelled, TermsChanged, PlanChanged), _told)

SHOWTIME_BRANCHES: Final = (SWITCHED, SCREENS, JOBS, TOLD)
