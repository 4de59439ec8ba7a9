"""Scans in Postgres, where scanners meet: whoever writes a ticket's entry has let it in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from cinema.domain.rejections import refuse
from cinema.features.accounts.user_store import Act
from cinema.features.tickets.rules import Known, Scanner, TicketClaim, bookings_of
from cinema.features.tickets.shapes import Direction
from cinema.features.tickets.store import KNOWN, TOLD, audited, known_of, tell
from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import (
    Pool,
    PooledConnection,
    changing,
    connection,
    transaction,
)

_OF_CODES: Final = f"""{KNOWN}
where b.id in (
    select one.id from unnest($1::uuid[], $2::uuid[]) as span (low, high)
    cross join lateral (select id from bookings where id between span.low and span.high) one
)
order by b.id, s.place"""  # noqa: S608
# $1 to $7 are what `_what` gives, $8 are places.
_LOG: Final = """
insert into ticket_scans (id, booking_id, place, showtime_id, cinema_id, direction, outcome, at,
    recorded_at, scanner_id, scanner, offline, reason)
select gen_random_uuid(), $1::uuid, one.place, $2::uuid, $3::uuid, {what}, $4::timestamptz,
    $5::timestamptz, $6::uuid, $7::text, {how}
from {places} as one (place)
"""
_LOG_ENTRY: Final = _LOG.format(
    what="'entry', 'admitted'", how="false, null", places="(select place from entered)"
)
_LOG_EXIT: Final = _LOG.format(
    what="'exit', 'admitted'", how="false, null", places="(select place from gone)"
)
_LOG_UNSCAN: Final = _LOG.format(
    what="'unscan', 'admitted'", how="false, $9", places="(select place from gone)"
)
_NOTE: Final = _LOG.format(what="$9, $10", how="$11, null", places="unnest($8::int[])")
_KEEP: Final = """
insert into ticket_scan_answers (scanner_id, nonce, fingerprint, answer, recorded_at)
values ($1, $2, $3, $4, $5) on conflict do nothing returning true"""
_KEEP_OF: Final = """
insert into ticket_scan_answers (scanner_id, nonce, fingerprint, answer, recorded_at)
select $6::uuid, {nonce}::text, {fingerprint}::bytea, {answer}::text, $5::timestamptz
where {when}"""
_NOTE_ONCE: Final = f"""
with kept as (
    {_KEEP_OF.format(nonce="$12", fingerprint="$13", answer="$14", when="true")}
    on conflict do nothing returning true
), noted as ({
    _LOG.format(
        what="$9, $10",
        how="$11, null",
        places="(select unnest($8::int[]) where exists (select from kept))",
    )
})
select exists (select from kept)"""  # noqa: S608  (constants of this module)
# The last two parameters are the ids and the seats of the places in $8.
_TOLD: Final = TOLD.format(
    showtime="$2",
    kind="'{kind}'",
    booking="$1",
    at="$4",
    tickets="{done} done join unnest($8::int[], ${ids}::uuid[], ${seats}::text[])\n"
    "    told (place, id, seat) using (place) order by place",
)
_TOLD_ENTRY: Final = _TOLD.format(kind="ticket.admitted", done="entered", ids=10, seats=11)
_TOLD_EXIT: Final = _TOLD.format(kind="ticket.left", done="gone", ids=9, seats=10)
_TOLD_UNSCAN: Final = _TOLD.format(kind="ticket.unscanned", done="gone", ids=10, seats=11)
# One statement decides: of two that come at once the second waits for the first, and then finds
# the ticket inside.
_ENTER_OR_NOT: Final = f"""
with entered as (
    insert into ticket_entries as e (booking_id, place, showtime_id, inside, entered_at,
        scanner_id, scanner)
    select $1, place, $2, true, $4, $6, $7 from unnest($8::int[]) place order by place
    on conflict (booking_id, place) do update
    set inside = true, entered_at = excluded.entered_at, left_at = null,
        scanner_id = excluded.scanner_id, scanner = excluded.scanner
    where not e.inside or $9
    returning e.place
), logged as ({_LOG_ENTRY}), told as ({_TOLD_ENTRY}){{kept}}
select place from entered"""  # noqa: S608
_LEAVE_OR_NOT: Final = f"""
with gone as (
    update ticket_entries e set inside = false, left_at = $4
    where e.booking_id = $1 and e.place = any($8::int[]) and e.inside
    returning e.place
), logged as ({_LOG_EXIT}), told as ({_TOLD_EXIT}){{kept}}
select place from gone"""  # noqa: S608
_ENTER: Final = _ENTER_OR_NOT.format(kept="")
_LEAVE: Final = _LEAVE_OR_NOT.format(kept="")
# If the same scan is answered at this moment, the answer's key fails the whole statement.
_KEPT: Final = ", kept as (" + _KEEP_OF + ")"
_ENTER_ONCE: Final = _ENTER_OR_NOT.format(
    kept=_KEPT.format(
        nonce="$12", fingerprint="$13", answer="$14", when="exists (select from entered)"
    )
)
_LEAVE_ONCE: Final = _LEAVE_OR_NOT.format(
    kept=_KEPT.format(
        nonce="$11", fingerprint="$12", answer="$13", when="exists (select from gone)"
    )
)
_UNSCAN: Final = f"""
with gone as (
    delete from ticket_entries e where e.booking_id = $1 and e.place = any($8::int[])
    returning e.place
), logged as ({_LOG_UNSCAN}), told as ({_TOLD_UNSCAN})
select place from gone"""  # noqa: S608
_ANSWERED: Final = """
select fingerprint, answer from ticket_scan_answers where scanner_id = $1 and nonce = $2"""
_ANSWERS: Final = """
select nonce, answer from ticket_scan_answers where scanner_id = $1 and nonce = any($2)"""
_ENTRY: Final = """
select inside, entered_at, left_at, scanner from ticket_entries
where booking_id = $1 and place = $2 for update"""
_FIRST: Final = """
insert into ticket_entries (booking_id, place, showtime_id, inside, entered_at, scanner_id, scanner)
values ($1, $2, $3, true, $4, $5, $6) on conflict do nothing returning true"""
_AGAIN: Final = """
update ticket_entries
set inside = true, entered_at = $3, left_at = null, scanner_id = $4, scanner = $5
where booking_id = $1 and place = $2"""
_EARLIER: Final = """
update ticket_entries set entered_at = $3, scanner_id = $4, scanner = $5
where booking_id = $1 and place = $2"""
_LEFT_AT: Final = """
update ticket_entries set inside = false, left_at = $3
where booking_id = $1 and place = $2 and inside and entered_at <= $3
returning true"""
_FORGET: Final = """
with gone as (
    delete from {table} where ctid = any(array(
        select ctid from {table} where recorded_at < $1 order by recorded_at limit $2
        for update skip locked
    ))
    returning 1
)
select count(*) from gone"""
_FORGET_SCANS: Final = _FORGET.format(table="ticket_scans")
_FORGET_ANSWERS: Final = _FORGET.format(table="ticket_scan_answers")

SCANS_KEPT: Final = timedelta(days=90)
"""For questions about a night. Who was let in stays, as the ticket's `used_at`."""


class Once(msgspec.Struct, frozen=True):
    """A scan that may be repeated: by whom, under which name, and what it asked."""

    scanner_id: UUID
    nonce: str
    fingerprint: bytes


class Kept(msgspec.Struct, frozen=True):
    """The answer that a scan has had."""

    fingerprint: bytes
    answer: str


class Meeting(msgspec.Struct, frozen=True):
    """Two entries with one ticket: the earlier one, which counts, and the other."""

    first_at: datetime
    first_by: str
    also_at: datetime
    also_by: str


class AnsweredBefore(Exception):
    """The same scan has had its answer meanwhile; this one had no effect."""


class ScansRepository:
    """Lets tickets in and out."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def all_known(self, claims: Sequence[TicketClaim]) -> list[Known]:
        """All tickets of the bookings of codes."""
        spans = {bookings_of(claim.ticket_id) for claim in claims}
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_OF_CODES, [low for low, _ in spans], [h for _, h in spans])
        return [known_of(row) for row in rows]

    async def answered(self, once: Once) -> Kept | None:
        """The answer that a scan has had, if it is a repetition."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_ANSWERED, once.scanner_id, once.nonce)
        return None if row is None else kept_of(row)

    async def answers(self, scanner_id: UUID, nonces: Sequence[str]) -> list[tuple[str, str]]:
        """The answers of a scanner under these nonces, each with its nonce."""
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_ANSWERS, scanner_id, nonces)
        return [(row["nonce"], row["answer"]) for row in rows]

    async def pass_door(
        self,
        tickets: Sequence[Known],
        scanner: Scanner,
        at: datetime,
        now: datetime,
        *,
        direction: Direction,
        force: Act | None,
        once: Once | None,
        answer: Callable[[set[int]], str],
    ) -> set[int]:
        """Let tickets of one booking in or out, each once; the places of those that were.

        `force` lets in what is inside already, and is audited. `answer` is kept for `once`. Raises
        `AnsweredBefore`; refuses RETRY if the same scan is answered at this moment.
        """
        places = [one.place for one in tickets]
        values = [*_what(tickets, scanner, at, now), places]
        statement = _LEAVE if direction == "exit" else _ENTER
        if direction == "entry":
            values.append(force is not None)
        values += [[one.id for one in tickets], [one.seat for one in tickets]]
        if once is not None and force is None and len(places) == 1:
            # The answer is known before: the ticket passes, or there is none.
            statement = _LEAVE_ONCE if direction == "exit" else _ENTER_ONCE
            values += [once.nonce, once.fingerprint, answer(set(places))]
            once = None
        if once is None and force is None:
            async with changing(self._pool) as writing:
                return {row["place"] for row in await writing.fetch(statement, *values)}
        async with transaction(self._pool) as running:
            passed = {row["place"] for row in await running.fetch(statement, *values)}
            if once is not None and passed:
                await _keep(running, once, answer(passed), now)
            if force is not None and passed:
                seats = [one.seat for one in tickets if one.place in passed]
                await audited(running, "ticket_forced", tickets[0].id, force, seats=seats)
        return passed

    async def refused(
        self,
        tickets: Sequence[Known],
        scanner: Scanner,
        at: datetime,
        now: datetime,
        *,
        direction: Direction,
        code: str,
        once: Once | None,
        answer: str,
    ) -> None:
        """Note that tickets of one booking were not let in. Raises `AnsweredBefore`."""
        places = [one.place for one in tickets]
        values = [*_what(tickets, scanner, at, now), places, direction, code, False]
        async with changing(self._pool) as writing:
            if once is None:
                await writing.execute(_NOTE, *values)
            elif not await writing.fetchval(
                _NOTE_ONCE, *values, once.nonce, once.fingerprint, answer
            ):
                raise AnsweredBefore

    async def keep(self, once: Once, answer: str, now: datetime) -> None:
        """Keep the answer to a scan of no ticket. Raises `AnsweredBefore`."""
        async with transaction(self._pool) as running:
            await _keep(running, once, answer, now)

    async def unscan(self, ticket: Known, scanner: Scanner, reason: str, act: Act) -> bool:
        """Take an entry back; False if there is none."""
        async with transaction(self._pool) as running:
            what = _what([ticket], scanner, act.at, act.at)
            gone = await running.fetch(
                _UNSCAN, *what, [ticket.place], reason, [ticket.id], [ticket.seat]
            )
            if gone:
                await audited(running, "ticket_unscanned", ticket.id, act, reason=reason)
        return bool(gone)

    async def uploaded(
        self,
        tickets: Sequence[Known],
        scanner: Scanner,
        at: datetime,
        now: datetime,
        *,
        direction: Direction,
        code: str | None,
        once: Once,
        answer: Callable[[Sequence[Meeting | None]], str],
    ) -> str:
        """Write down a scan that was made without a connection; what is answered to it.

        Somebody went in already, so the entry at the earliest time counts, and the others are told
        of. With a `code` nothing of the ticket changes. Raises `AnsweredBefore`.
        """
        async with transaction(self._pool) as running:
            met: list[Meeting | None] = []
            if code is None:
                for ticket in tickets:
                    if direction == "exit":
                        where = ticket.booking_id, ticket.place
                        if await running.fetchval(_LEFT_AT, *where, at):
                            await tell(running, "ticket.left", ticket, at)
                        met.append(None)
                    else:
                        met.append(await _entered(running, ticket, scanner, at))
                        if met[-1] is None:
                            await tell(running, "ticket.admitted", ticket, at)
            if tickets:
                outcome = code or ("conflict" if any(met) else "admitted")
                places = [one.place for one in tickets]
                await running.execute(
                    _NOTE, *_what(tickets, scanner, at, now), places, direction, outcome, True
                )
            text = answer(met)
            await _keep(running, once, text, now)
        return text

    async def forget(self, now: datetime, limit: int) -> int:
        """Delete a bounded number of scans that are long over; how many."""
        async with changing(self._pool) as writing:
            gone: int = await writing.fetchval(_FORGET_SCANS, now - SCANS_KEPT, limit)
            gone += await writing.fetchval(_FORGET_ANSWERS, now - SCANS_KEPT, limit)
        return gone


async def _entered(
    running: PooledConnection, ticket: Known, scanner: Scanner, at: datetime
) -> Meeting | None:
    """Write an entry down; the other one if there is one. The row stays locked meanwhile."""
    where, by = (ticket.booking_id, ticket.place), (scanner.id, scanner.name)
    if await running.fetchval(_FIRST, *where, ticket.showtime_id, at, *by):
        return None
    row = await running.fetchrow(_ENTRY, *where)
    if row is None:
        # It was taken back at this very moment.
        raise refuse("RETRY")
    if not row["inside"] and row["left_at"] <= at:
        await running.execute(_AGAIN, *where, at, *by)
        return None
    if row["entered_at"] <= at:
        return Meeting(row["entered_at"], row["scanner"], at, scanner.name)
    await running.execute(_EARLIER, *where, at, *by)
    return Meeting(at, scanner.name, row["entered_at"], row["scanner"])


def kept_of(row: Record) -> Kept:
    """The answer that a scan has had."""
    return Kept(row["fingerprint"], row["answer"])


async def _keep(running: PooledConnection, once: Once, answer: str, now: datetime) -> None:
    kept = once.scanner_id, once.nonce, once.fingerprint
    if not await running.fetchval(_KEEP, *kept, answer, now):
        raise AnsweredBefore


def _what(
    tickets: Sequence[Known], scanner: Scanner, at: datetime, now: datetime
) -> tuple[object, ...]:
    """What the statements of scans begin with."""
    first = tickets[0]
    return (
        *(first.booking_id, first.showtime_id, first.cinema_id),
        *(at, now, scanner.id, scanner.name),
    )
