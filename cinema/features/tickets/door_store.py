"""Scans that come at the same time, in few statements: each looks, or writes, for all who wait.

A statement of a scan costs Postgres little more for twenty than for one. Only what cannot disturb
others is written together: single tickets that go in, and refusals. The rest is `scan_store`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from cinema.actors.tasks import Tasks
from cinema.domain.rejections import Refused
from cinema.features.batches import Batches
from cinema.features.tickets.device_store import device_of
from cinema.features.tickets.rules import GROUP, Known, Scanner, TicketClaim, bookings_of
from cinema.features.tickets.scan_store import AnsweredBefore, Kept, Once, kept_of
from cinema.features.tickets.shapes import Device, Direction
from cinema.features.tickets.store import KNOWN, TOLD, known_of
from cinema.storage.database.driver import Record
from cinema.storage.database.failures import translated
from cinema.storage.database.transactions import Pool, connection

# Within a subselect Postgres does not see how many there are. So the plan for any number is as
# good to it as one for this number, and is kept: to make one takes longer than to carry it out.
# One booking, for the same reason: a range of ids may be of many to it. `offset 0` keeps Postgres
# from looking for an order of all joins at once, which takes it ten times as long.
LOOK: Final = f"""
select asked.nth, device.id, device.cinema_id as device_cinema_id, device.name, device.created_at,
    device.revoked_at, kept.fingerprint, kept.answer, known.*
from unnest(
    (select $1::uuid[]), (select $2::uuid[]), (select $3::int[]), (select $4::bytea[]),
    (select $5::uuid[]), (select $6::text[])
) with ordinality as asked (low, high, of_place, digest, scanner_id, nonce, nth)
left join scanner_devices device
    on device.token_digest = asked.digest and device.revoked_at is null
left join ticket_scan_answers kept
    on kept.scanner_id = coalesce(asked.scanner_id, device.id) and kept.nonce = asked.nonce
left join lateral (
    {KNOWN}
    where b.id = (
        select id from bookings where id between asked.low and asked.high order by id limit 1
    ) and (asked.of_place = {GROUP} or s.place = asked.of_place)
    offset 0
) known on true
order by asked.nth, known.place"""  # noqa: S608  (constants of these modules)
_LOG: Final = """
    insert into ticket_scans (id, booking_id, place, showtime_id, cinema_id, direction, outcome, at,
        recorded_at, scanner_id, scanner, offline)
    select gen_random_uuid(), booking_id, place, showtime_id, cinema_id, {what}, at, recorded_at,
        scanner_id, scanner, false
    from {these}"""
_ASKED: Final = """
with asked as (
    select * from unnest(
        (select $1::uuid[]), (select $2::int[]), (select $3::uuid[]), (select $4::uuid[]),
        (select $5::timestamptz[]), (select $6::timestamptz[]), (select $7::uuid[]),
        (select $8::text[]), (select $9::text[]), (select $10::bytea[]), (select $11::text[]),
        (select $12::{twelfth}[]), (select $13::text[])
    ) as asked (booking_id, place, showtime_id, cinema_id, at, recorded_at, scanner_id, scanner,
        nonce, fingerprint, answer, {names})
)"""
_TOLD: Final = TOLD.format(
    showtime="told.showtime_id",
    kind="'ticket.admitted'",
    booking="told.booking_id",
    at="told.at",
    tickets="(select *, ticket_id as id from let_in) told\n    order by booking_id, place",
)
# Rows are locked in one order, entries before answers, so that no two statements wait for each
# other. If one of the scans is answered at this moment, its answer's key fails the statement.
ENTER: Final = f"""{_ASKED.format(twelfth="uuid", names="ticket_id, seat")}
, entered as (
    insert into ticket_entries as e (booking_id, place, showtime_id, inside, entered_at,
        scanner_id, scanner)
    select booking_id, place, showtime_id, true, at, scanner_id, scanner from asked
    order by booking_id, place
    on conflict (booking_id, place) do update
    set inside = true, entered_at = excluded.entered_at, left_at = null,
        scanner_id = excluded.scanner_id, scanner = excluded.scanner
    where not e.inside
    returning e.booking_id, e.place
), let_in as (
    select asked.* from asked join entered using (booking_id, place)
), logged as ({_LOG.format(what="'entry', 'admitted'", these="let_in")}
), told as ({_TOLD}
), kept as (
    insert into ticket_scan_answers (scanner_id, nonce, fingerprint, answer, recorded_at)
    select scanner_id, nonce, fingerprint, answer, recorded_at from let_in
    where nonce is not null order by scanner_id, nonce
)
select booking_id, place from entered"""  # noqa: S608
NOTE: Final = f"""{_ASKED.format(twelfth="text", names="direction, outcome")}
, kept as (
    insert into ticket_scan_answers (scanner_id, nonce, fingerprint, answer, recorded_at)
    select scanner_id, nonce, fingerprint, answer, recorded_at from asked
    where nonce is not null order by scanner_id, nonce
    on conflict do nothing
    returning scanner_id, nonce
), noted as ({
    _LOG.format(
        what="direction, outcome",
        these="asked where nonce is null or (scanner_id, nonce) in (select * from kept)",
    )
})
select scanner_id, nonce from kept"""  # noqa: S608


class ShownCode(msgspec.Struct, frozen=True, kw_only=True):
    """A code that is shown at a door: by a device, of whose token `digest` is, or by somebody."""

    claim: TicketClaim
    digest: bytes | None
    scanner_id: UUID | None
    nonce: str | None


class SeenCode(msgspec.Struct, frozen=True):
    """What there is to a code: the device, the tickets, and the answer that the scan has had."""

    device: Device | None
    known: list[Known]
    kept: Kept | None


class Passing(msgspec.Struct, frozen=True, kw_only=True):
    """One ticket that may go in, or was refused with `code`, and what is kept as the answer."""

    ticket: Known
    scanner: Scanner
    at: datetime
    now: datetime
    direction: Direction
    code: str | None
    once: Once | None
    answer: str


class DoorsRepository:
    """Looks and writes for all doors of a node."""

    def __init__(self, pool: Pool, tasks: Tasks) -> None:
        self._pool = pool
        self._looks = Batches[ShownCode, SeenCode]("door-looks", tasks, self._look)
        self._entries = Batches[Passing, bool | None]("door-entries", tasks, self._enter)
        self._notes = Batches[Passing, bool | None]("door-notes", tasks, self._note)

    async def look(self, shown: ShownCode) -> SeenCode:
        """What there is to a code. Refuses RETRY."""
        return await self._looks.outcome(shown)

    async def enter(self, passing: Passing) -> bool | None:
        """Whether the ticket went in; None if it has to be tried by itself, nothing happened yet.

        Refuses OUTCOME_UNKNOWN.
        """
        return await self._entries.outcome(passing)

    async def note(self, passing: Passing) -> bool:
        """Note a refusal; False if it has to be done by itself. Raises `AnsweredBefore`.

        Refuses OUTCOME_UNKNOWN.
        """
        noted = await self._notes.outcome(passing)
        if noted is False:
            raise AnsweredBefore
        return noted is not None

    async def _look(self, shown: Sequence[ShownCode]) -> list[SeenCode]:
        spans = [bookings_of(one.claim.ticket_id) for one in shown]
        async with connection(self._pool) as reading:
            rows = await reading.fetch(
                LOOK,
                [low for low, _ in spans],
                [high for _, high in spans],
                [one.claim.place for one in shown],
                [one.digest for one in shown],
                [one.scanner_id for one in shown],
                [one.nonce for one in shown],
            )
        of_each: list[list[Record]] = [[] for _ in shown]
        for row in rows:
            of_each[row["nth"] - 1].append(row)
        return [_seen(these) for these in of_each]

    async def _enter(self, passing: Sequence[Passing]) -> list[bool | None]:
        first = _each_once(passing, _ticket, _name)
        rows = await self._write(ENTER, first, [(one.ticket.id, one.ticket.seat) for one in first])
        if rows is None:
            return [None] * len(passing)
        entered = {(UUID(bytes=row["booking_id"].bytes), row["place"]) for row in rows}
        return _outcomes(passing, first, lambda one: _ticket(one) in entered)

    async def _note(self, passing: Sequence[Passing]) -> list[bool | None]:
        first = _each_once(passing, _name)
        rows = await self._write(NOTE, first, [(one.direction, one.code) for one in first])
        if rows is None:
            return [None] * len(passing)
        kept = {(UUID(bytes=row["scanner_id"].bytes), row["nonce"]) for row in rows}
        return _outcomes(passing, first, lambda one: one.once is None or _name(one) in kept)

    async def _write(
        self, statement: str, passing: Sequence[Passing], more: Sequence[tuple[object, object]]
    ) -> list[Record] | None:
        """None if nothing was written, since it would not go together."""
        once = [one.once for one in passing]
        try:
            async with connection(self._pool) as writing:
                with translated(lost="OUTCOME_UNKNOWN"):
                    return await writing.fetch(
                        statement,
                        [one.ticket.booking_id for one in passing],
                        [one.ticket.place for one in passing],
                        [one.ticket.showtime_id for one in passing],
                        [one.ticket.cinema_id for one in passing],
                        [one.at for one in passing],
                        [one.now for one in passing],
                        [one.scanner.id for one in passing],
                        [one.scanner.name for one in passing],
                        [one and one.nonce for one in once],
                        [one and one.fingerprint for one in once],
                        [one.answer for one in passing],
                        [one for one, _ in more],
                        [two for _, two in more],
                    )
        except Refused as refused:
            if refused.rejection.code != "RETRY":
                raise
            return None


def _seen(rows: Sequence[Record]) -> SeenCode:
    first = rows[0]
    device = None if first["id"] is None else device_of(first, cinema_id="device_cinema_id")
    kept = None if first["answer"] is None else kept_of(first)
    known = [] if first["booking_id"] is None else [known_of(row) for row in rows]
    return SeenCode(device, known, kept)


def _ticket(passing: Passing) -> Hashable:
    return passing.ticket.booking_id, passing.ticket.place


def _name(passing: Passing) -> Hashable:
    once = passing.once
    return None if once is None else (once.scanner_id, once.nonce)


def _each_once(passing: Sequence[Passing], *keys: Callable[[Passing], Hashable]) -> list[Passing]:
    """Those that have none of their keys in common with one before."""
    taken: set[tuple[int, Hashable]] = set()
    first = []
    for one in passing:
        own = {(nth, key(one)) for nth, key in enumerate(keys) if key(one) is not None}
        if taken.isdisjoint(own):
            taken |= own
            first.append(one)
    return first


def _outcomes(
    passing: Sequence[Passing], written: Sequence[Passing], is_done: Callable[[Passing], bool]
) -> list[bool | None]:
    ids = {id(one) for one in written}
    return [is_done(one) if id(one) in ids else None for one in passing]
