"""Scans: tickets are let in once, and out; what was wrong is taken back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID

import msgspec

from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused, refuse
from cinema.features.accounts.shapes import Client
from cinema.features.accounts.user_store import Act
from cinema.features.tickets.device_service import DevicesService, digest_of, scanner_of
from cinema.features.tickets.door_store import DoorsRepository, Passing, SeenCode, ShownCode
from cinema.features.tickets.metrics import ADMITTED, ScanCounts
from cinema.features.tickets.rules import (
    GROUP,
    Asked,
    Known,
    ScanCode,
    Scanner,
    TicketClaim,
    bounded,
    checks_of,
    first_of,
    refusal_of,
)
from cinema.features.tickets.scan_store import AnsweredBefore, Kept, Once, ScansRepository
from cinema.features.tickets.service import TicketsService, shown_ticket
from cinema.features.tickets.shapes import (
    Admission,
    Direction,
    NotAdmitted,
    ScanInput,
    ScanRefusal,
    Ticket,
)
from cinema.features.tickets.signing import TicketKeys

NOTHING: Final = SeenCode(device=None, known=[], kept=None)
HIDDEN: Final = frozenset({"TICKET_FORGED", "WRONG_CINEMA"})
"""Refusals that tell nothing of a ticket."""


class ScansService:
    """Use cases at the door; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        doors: DoorsRepository,
        scans: ScansRepository,
        devices: DevicesService,
        tickets: TicketsService,
        keys: TicketKeys,
        counts: ScanCounts,
        *,
        new_id: Callable[[], UUID],
        now: Callable[[], datetime],
    ) -> None:
        self._doors = doors
        self._scans = scans
        self._devices = devices
        self._tickets = tickets
        self._keys = keys
        self._counts = counts
        self._new_id = new_id
        self._now = now

    async def scan(
        self, caller: Principal | None, token: str, request: ScanInput, client: Client
    ) -> Admission:
        """Let a ticket, or all of a booking, in or out, for somebody or a device with a token.

        Refuses UNAUTHENTICATED, UNKNOWN_REFERENCE, FORBIDDEN, IDEMPOTENCY_MISMATCH and the codes
        of `PRECEDENCE`.
        """
        now = self._now()
        claim = self._keys.claim(request.token)
        scanner, seen = await self._look(caller, token, request, claim)
        if request.force and not scanner.manages:
            raise refuse("FORBIDDEN", "Only managers of the cinema let in with `force`.")
        once = None if request.nonce is None else once_of(scanner, request.nonce, request)
        at = now if request.at is None else bounded(request.at, now)
        try:
            return await self._decide(scanner, request, claim, seen, at, now, client, once)
        except AnsweredBefore:
            assert once is not None
            again = await self._again(once)
            assert again is not None
            return again
        except Refused as refused:
            # The same scan, at this moment, may have been the faster one.
            if once is None or refused.rejection.code != "RETRY":
                raise
            again = await self._again(once)
            if again is None:
                raise
            return again

    async def unscan(self, by: Principal, ticket: UUID, reason: str, client: Client) -> Ticket:
        """Take back that a ticket was used. Refuses NOT_FOUND, TICKET_NOT_INSIDE."""
        known = await self._tickets.of_counter(by, ticket)
        scanner = Scanner(id=UUID(bytes=by.user_id), name="staff", cinema_ids=None)
        if not await self._scans.unscan(known, scanner, reason, self._tickets.act(by, client)):
            raise refuse("TICKET_NOT_INSIDE", "This ticket was not used.")
        return await self._tickets.ticket(by, ticket)

    async def _again(self, once: Once) -> Admission | None:
        """The answer that the same scan has had; raised if it was a refusal."""
        kept = await self._scans.answered(once)
        return None if kept is None else self._told_again(kept, once)

    def _told_again(self, kept: Kept, once: Once) -> Admission:
        if kept.fingerprint != once.fingerprint:
            raise refuse("IDEMPOTENCY_MISMATCH", "This nonce was used for another scan.")
        answer = msgspec.json.decode(kept.answer, type=KeptAnswer)
        if answer.admission is not None:
            return answer.admission
        assert answer.refusal is not None
        raise refuse(answer.refusal.code, **answer.refusal.details)

    async def _look(
        self, caller: Principal | None, token: str, request: ScanInput, claim: TicketClaim | None
    ) -> tuple[Scanner, SeenCode]:
        """Who scans, and what there is to the code: of a device in one look."""
        if caller is None and claim is not None:
            digest = digest_of(token)
            shown = ShownCode(claim=claim, digest=digest, scanner_id=None, nonce=request.nonce)
            seen = await self._doors.look(shown)
            return scanner_of(seen.device, request.device_id), seen
        scanner = await self._devices.scanner(caller, token, request.device_id)
        if claim is None:
            return scanner, NOTHING
        shown = ShownCode(claim=claim, digest=None, scanner_id=scanner.id, nonce=request.nonce)
        return scanner, await self._doors.look(shown)

    async def _decide(
        self,
        scanner: Scanner,
        request: ScanInput,
        claim: TicketClaim | None,
        seen: SeenCode,
        at: datetime,
        now: datetime,
        client: Client,
        once: Once | None,
    ) -> Admission:
        if once is not None and seen.kept is not None:
            return self._told_again(seen.kept, once)
        if claim is None or not seen.known:
            if once is not None:
                text = answer_text(ScanRefusal(code="TICKET_FORGED", details={}))
                await self._scans.keep(once, text, now)
            self._counts.outcomes["TICKET_FORGED"] += 1
            raise refuse("TICKET_FORGED")
        asked = asked_of(scanner, request, claim, seen.known[0], at)
        those = wanted_of(claim, seen.known)
        codes = [refusal_of(one, asked) for one in those]
        fine = [one for one, code in zip(those, codes, strict=True) if code is None]

        def admission(places: set[int]) -> Admission:
            return admission_of(
                [one for one in fine if one.place in places],
                request.direction,
                at,
                [
                    NotAdmitted(ticket_id=one.id, seat=one.seat, code=code or overtaken(request))
                    for one, code in zip(those, codes, strict=True)
                    if code is not None or one.place not in places
                ],
            )

        if fine:
            places = await self._pass(
                fine,
                scanner,
                at,
                now,
                direction=request.direction,
                force=self._forced(scanner, request, client, now),
                once=once,
                answer=lambda places: answer_text(admission(places)),
            )
            if places:
                self._counts.outcomes[ADMITTED] += len(places)
                return admission(places)
            # Another scanner was faster: what it wrote is there now.
            shown = ShownCode(claim=claim, digest=None, scanner_id=None, nonce=None)
            those = wanted_of(claim, (await self._doors.look(shown)).known)
            codes = [overtaken(request)] * len(those)
        code = first_of([code for code in codes if code is not None])
        of_it = those[codes.index(code)]
        raise await self._refusal(code, of_it, scanner, request.direction, at, now, once)

    async def _pass(
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
        """As `ScansRepository.pass_door`; one ticket that goes in does so together with others."""
        if direction == "entry" and force is None and len(tickets) == 1:
            (ticket,) = tickets
            passing = Passing(
                ticket=ticket,
                scanner=scanner,
                at=at,
                now=now,
                direction=direction,
                code=None,
                once=once,
                answer=answer({ticket.place}),
            )
            if (has_entered := await self._doors.enter(passing)) is not None:
                return {ticket.place} if has_entered else set()
        return await self._scans.pass_door(
            tickets,
            scanner,
            at,
            now,
            direction=direction,
            force=force,
            once=once,
            answer=answer,
        )

    async def _refusal(
        self,
        code: ScanCode,
        known: Known,
        scanner: Scanner,
        direction: Direction,
        at: datetime,
        now: datetime,
        once: Once | None,
    ) -> Refused:
        """What to raise, once it is written down."""
        details = details_of(code, known)
        text = answer_text(ScanRefusal(code=code, details=details))
        passing = Passing(
            ticket=known,
            scanner=scanner,
            at=at,
            now=now,
            direction=direction,
            code=code,
            once=once,
            answer=text,
        )
        if not await self._doors.note(passing):
            await self._scans.refused(
                [known], scanner, at, now, direction=direction, code=code, once=once, answer=text
            )
        self._counts.outcomes[code] += 1
        return refuse(code, **details)

    def _forced(
        self, scanner: Scanner, request: ScanInput, client: Client, now: datetime
    ) -> Act | None:
        if not request.force or request.direction == "exit":
            return None
        return Act(by=scanner.id, at=now, client=client, entry_id=self._new_id())


class KeptAnswer(msgspec.Struct, frozen=True):
    """The answer to a scan as it is kept."""

    admission: Admission | None = None
    refusal: ScanRefusal | None = None


def answer_text(answer: Admission | ScanRefusal) -> str:
    """An answer as text."""
    if isinstance(answer, Admission):
        return msgspec.json.encode(KeptAnswer(admission=answer)).decode()
    return msgspec.json.encode(KeptAnswer(refusal=answer)).decode()


def once_of(scanner: Scanner, nonce: str, request: msgspec.Struct) -> Once:
    """A scan by its nonce, and what it asks."""
    said = msgspec.json.encode(request)
    return Once(scanner.id, nonce, blake2b(said, digest_size=16).digest())


def asked_of(
    scanner: Scanner, request: ScanInput, claim: TicketClaim, known: Known, at: datetime
) -> Asked:
    """What a scanner asks for a ticket."""
    return Asked(
        claim=claim,
        serves=scanner.serves(known.cinema_id),
        showtime_id=request.showtime_id,
        screen_id=request.screen_id,
        at=at,
        direction=request.direction,
        force=request.force,
    )


def wanted_of(claim: TicketClaim, known: Sequence[Known]) -> Sequence[Known]:
    """The tickets that a code stands for; of a booking those that it still has."""
    if claim.place != GROUP:
        return known
    return [one for one in known if one.live] or known


def admission_of(
    let_in: Sequence[Known],
    direction: Direction,
    at: datetime,
    refused: list[NotAdmitted],
) -> Admission:
    """The answer for tickets that were let in or out; their codes are not repeated."""
    used = [
        one if direction == "exit" else msgspec.structs.replace(one, entered_at=at)
        for one in let_in
    ]
    tickets = [shown_ticket(one, None, None) for one in used]
    return Admission(
        admitted=True,
        direction=direction,
        ticket=tickets[0],
        tickets=tickets,
        checks=[] if direction == "exit" else checks_of(let_in),
        refused=refused,
    )


def overtaken(request: ScanInput) -> ScanCode:
    """Why nothing came of a scan that another one has overtaken."""
    return "ALREADY_USED" if request.direction == "entry" else "TICKET_NOT_INSIDE"


def details_of(code: ScanCode, known: Known) -> dict[str, Any]:
    """What a scanner is told beside the code: times as text, so that it is kept as it is sent."""
    if code in HIDDEN:
        return {}
    details: dict[str, Any] = {"ticket_id": str(known.id), "seat": known.seat}
    match code:
        case "ALREADY_USED":
            details |= {"used_at": _text(known.entered_at), "scanner": known.scanner}
        case "TOO_EARLY":
            details["opens_at"] = _text(known.opens_at)
        case "TOO_LATE":
            details["closes_at"] = _text(known.closes_at)
        case "WRONG_SHOWTIME":
            details["showtime_id"] = str(known.showtime_id)
            details["screen_id"] = str(known.screen_id)
        case _:
            pass
    return details


def _text(at: datetime | None) -> str | None:
    text: str | None = msgspec.to_builtins(at)
    return text
