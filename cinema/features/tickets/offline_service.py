"""Scanners without a connection: what they take with them, and what they bring back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Final
from uuid import UUID

import msgspec

from cinema.domain.rejections import refuse
from cinema.features.refusals import found
from cinema.features.tickets.metrics import ADMITTED, ScanCounts
from cinema.features.tickets.rules import (
    GROUP,
    Asked,
    Known,
    ScanCode,
    Scanner,
    TicketClaim,
    checks_of,
    corrected,
    first_of,
    refusal_of,
    ticket_id,
)
from cinema.features.tickets.scan_service import KeptAnswer, once_of, wanted_of
from cinema.features.tickets.scan_store import AnsweredBefore, Meeting, ScansRepository
from cinema.features.tickets.shapes import (
    Attendance,
    Direction,
    ListedGroup,
    ListedTicket,
    OfflineScan,
    OfflineScans,
    ScanConflict,
    ScanList,
    ScanOutcome,
    SignedScanList,
    Uploaded,
)
from cinema.features.tickets.signing import TicketKeys
from cinema.features.tickets.store import DoorOf, TicketsRepository, attendee_of

CANONICAL = msgspec.json.Encoder(order="sorted")
"""RFC 8785 for what is in a list: texts, whole numbers and truth values, under ASCII keys."""


OFFLINE: Final = "offline "
"""Before the nonces of uploads: a scanner that was not told the answer to a scan uploads it with
the same nonce, as something else. No nonce has a space."""


class _OfflineAnswer(msgspec.Struct, frozen=True):
    """What is answered to one uploaded scan, as it is kept."""

    outcome: ScanOutcome
    conflicts: list[ScanConflict]


class OfflineService:
    """Use cases of scanners that were, or will be, without a connection."""

    def __init__(
        self,
        scans: ScansRepository,
        tickets: TicketsRepository,
        keys: TicketKeys,
        counts: ScanCounts,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._scans = scans
        self._tickets = tickets
        self._keys = keys
        self._counts = counts
        self._now = now

    async def scan_list(self, scanner: Scanner, showtime_id: UUID) -> SignedScanList:
        """The tickets of a showtime, signed. Refuses NOT_FOUND."""
        door = await self._door(scanner, showtime_id)
        known = await self._tickets.of_showtime(showtime_id)
        made = ScanList(
            showtime_id=showtime_id,
            cinema_id=door.cinema_id,
            screen_id=door.screen_id,
            film=door.film,
            starts_at=door.starts_at,
            ends_at=door.ends_at,
            opens_at=door.opens_at,
            closes_at=door.closes_at,
            cancelled=door.cancelled,
            tickets=[_listed(one) for one in known],
            groups=_groups(known),
            keys=self._keys.public(),
        )
        key_id, signature = self._keys.signature(CANONICAL.encode(made))
        return SignedScanList(list=made, key_id=key_id, signature=signature)

    async def attendance(self, scanner: Scanner, showtime_id: UUID) -> Attendance:
        """Who is in. Refuses NOT_FOUND."""
        await self._door(scanner, showtime_id)
        known = await self._tickets.of_showtime(showtime_id)
        entries = [one for one in map(attendee_of, known) if one is not None]
        return Attendance(
            showtime_id=showtime_id,
            sold=len(known),
            used=len(entries),
            inside=sum(one.inside for one in entries),
            entries=sorted(entries, key=lambda one: (one.entered_at, one.ticket_id)),
        )

    async def upload(self, scanner: Scanner, request: OfflineScans) -> Uploaded:
        """Write down scans that were made without a connection; of two entries the earlier counts.

        They are taken in the order of their times, one transaction each, and each once: what was
        uploaded before, as far as it came, is answered as it was.
        """
        now = self._now()
        claims = [self._keys.claim(one.token) for one in request.scans]
        known = await self._scans.all_known([one for one in claims if one is not None])
        times = [corrected(one.at, request.sent_at, now) for one in request.scans]
        passed = await self._passed(scanner, request.scans)
        told: dict[int, _OfflineAnswer] = {}
        for number in sorted(range(len(times)), key=times.__getitem__):
            scan, claim = request.scans[number], claims[number]
            those = [] if claim is None else _of_code(claim, known)
            done = passed.get((scan.nonce, scan.direction), frozenset())
            told[number] = await self._take(scanner, scan, claim, those, done, times[number], now)
        in_order = [told[number] for number in range(len(times))]
        return Uploaded(
            scans=[one.outcome for one in in_order],
            conflicts=[met for one in in_order for met in one.conflicts],
        )

    async def _take(
        self,
        scanner: Scanner,
        scan: OfflineScan,
        claim: TicketClaim | None,
        known: Sequence[Known],
        done: Collection[UUID],
        at: datetime,
        now: datetime,
    ) -> _OfflineAnswer:
        """Write one scan down; the tickets in `done` had their answer with a connection."""
        once = once_of(scanner, OFFLINE + scan.nonce, scan)
        codes = [_refusal(scanner, scan, claim, one, at) for one in known]
        those = [one for one, code in zip(known, codes, strict=True) if code is None]
        bad = [code for code in codes if code is not None]
        code: ScanCode | None = None
        if not those:
            code = first_of(bad) if bad else "TICKET_FORGED"
            those = list(known[:1])
        fresh = [one for one in those if code or one.id not in done]

        def told(met: Sequence[Meeting | None]) -> _OfflineAnswer:
            conflicts = [
                ScanConflict(
                    ticket_id=one.id,
                    seat=one.seat,
                    nonce=scan.nonce,
                    first_at=meeting.first_at,
                    first_by=meeting.first_by,
                    also_at=meeting.also_at,
                    also_by=meeting.also_by,
                )
                for one, meeting in zip(fresh, met, strict=False)
                if meeting is not None
            ]
            outcome = ScanOutcome(
                nonce=scan.nonce,
                outcome="refused" if code else "conflict" if conflicts else "admitted",
                at=at,
                ticket_ids=[] if code in {"TICKET_FORGED", "WRONG_CINEMA"} else _ids(those),
                code=code,
            )
            return _OfflineAnswer(outcome, conflicts)

        try:
            text = await self._scans.uploaded(
                fresh,
                scanner,
                at,
                now,
                direction=scan.direction,
                code=code,
                once=once,
                answer=lambda met: msgspec.json.encode(told(met)).decode(),
            )
        except AnsweredBefore:
            kept = found(await self._scans.answered(once))
            if kept.fingerprint != once.fingerprint:
                text = "This nonce was used for another scan."
                raise refuse("IDEMPOTENCY_MISMATCH", text, nonce=scan.nonce) from None
            text = kept.answer
        else:
            self._counts.outcomes[code or ADMITTED] += 1
        return msgspec.json.decode(text, type=_OfflineAnswer)

    async def _passed(
        self, scanner: Scanner, scans: Sequence[OfflineScan]
    ) -> Mapping[tuple[str, Direction], Collection[UUID]]:
        """Which tickets the same scans, by nonce and direction, have let pass with a connection."""
        passed = {}
        for nonce, text in await self._scans.answers(scanner.id, [one.nonce for one in scans]):
            told = msgspec.json.decode(text, type=KeptAnswer).admission
            if told is not None:
                passed[nonce, told.direction] = {one.id for one in told.tickets}
        return passed

    async def _door(self, scanner: Scanner, showtime_id: UUID) -> DoorOf:
        door = found(await self._tickets.door(showtime_id))
        if not scanner.serves(door.cinema_id):
            raise refuse("NOT_FOUND")
        return door


def _refusal(
    scanner: Scanner, scan: OfflineScan, claim: TicketClaim | None, known: Known, at: datetime
) -> ScanCode | None:
    """As at the door, except that a ticket may be inside: the times will tell who was first."""
    if claim is None:
        return "TICKET_FORGED"
    asked = Asked(
        claim=claim,
        serves=scanner.serves(known.cinema_id),
        showtime_id=None,
        screen_id=None,
        at=at,
        direction=scan.direction,
        force=False,
    )
    code = refusal_of(known, asked)
    return None if code in {"ALREADY_USED", "TICKET_NOT_INSIDE"} else code


def _of_code(claim: TicketClaim, known: Sequence[Known]) -> Sequence[Known]:
    whole = ticket_id_of(claim)
    of_it = [one for one in known if ticket_id(one.booking_id, GROUP) == whole]
    if claim.place != GROUP:
        return [one for one in of_it if one.place == claim.place]
    return wanted_of(claim, of_it)


def ticket_id_of(claim: TicketClaim) -> UUID:
    """The id of the code for the whole booking of a code."""
    return ticket_id(claim.ticket_id, GROUP)


def _ids(tickets: Sequence[Known]) -> list[UUID]:
    return [one.id for one in tickets]


def _listed(known: Known) -> ListedTicket:
    return ListedTicket(
        id=known.id,
        generation=known.generation,
        seat=known.seat,
        state="blocked" if known.blocked else "used" if known.inside else "valid",
        checks=checks_of([known]),
    )


def _groups(known: Sequence[Known]) -> list[ListedGroup]:
    """The codes of bookings with several tickets; `known` is in the order of the bookings."""
    groups = []
    for booking_id, tickets in groupby(known, key=lambda one: one.booking_id):
        members = list(tickets)
        if len(members) > 1:
            groups.append(
                ListedGroup(
                    id=ticket_id(booking_id, GROUP),
                    generation=members[0].group_generation,
                    ticket_ids=_ids(members),
                )
            )
    return groups
