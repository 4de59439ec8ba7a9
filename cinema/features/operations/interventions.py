"""Actions of operators on a showtime: block and unblock seats, pause and resume sales."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Protocol
from uuid import UUID

import msgspec
from msgspec import Meta

from cinema.actors.asking import command_key, refusal_of
from cinema.actors.messages import Accepted, Message, Outcome
from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.rejections import Rejection
from cinema.domain.seatmap import MAX_SEATS
from cinema.domain.showtime.commands import (
    AnyCommand,
    BlockSeats,
    PauseSales,
    ResumeSales,
    UnblockSeats,
)
from cinema.domain.showtime.events import SeatsBlocked, SeatsUnblocked
from cinema.features.operations.node import moment
from cinema.features.refusals import granted
from cinema.features.seats.shapes import SeatLabel


class SeatsInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which seats, by label; all or none."""

    seats: Annotated[list[SeatLabel], Meta(min_length=1, max_length=MAX_SEATS)]

    def meaning(self) -> object:
        """The seats in any order."""
        return sorted(self.seats)


class Intervened(msgspec.Struct, frozen=True, kw_only=True):
    """The showtime after a command, `recorded` as event `seq`.

    `seats` are those that changed; seats that were already in that state are left out. A command
    without effect is recorded only if it has a key, so that a repetition gets this answer again.
    """

    showtime_id: UUID
    epoch: int
    seq: int
    at: datetime
    recorded: bool
    seats: list[str]


class Asks(Protocol):
    """The way to every showtime on any node: a kernel, or the forwarder of a cluster."""

    async def ask(self, showtime_id: bytes, message: Message) -> Outcome:
        """Send a message and wait for the answer."""


class InterventionService:
    """Sends the commands; each method returns the result, or raises `Refused`."""

    def __init__(self, showtimes: Asks) -> None:
        self._showtimes = showtimes

    async def block(
        self, showtime_id: bytes, request: SeatsInput, key: IdempotencyKey | None
    ) -> Intervened:
        """Take free seats off sale."""
        command_id, fingerprint = command_key(key)
        command = BlockSeats(command_id=command_id, fingerprint=fingerprint, labels=request.seats)
        return await self._send(showtime_id, command)

    async def unblock(
        self, showtime_id: bytes, request: SeatsInput, key: IdempotencyKey | None
    ) -> Intervened:
        """Put blocked seats back on sale."""
        command_id, fingerprint = command_key(key)
        command = UnblockSeats(command_id=command_id, fingerprint=fingerprint, labels=request.seats)
        return await self._send(showtime_id, command)

    async def pause(self, showtime_id: bytes, key: IdempotencyKey | None) -> Intervened:
        """Refuse new holds from now on."""
        command_id, fingerprint = command_key(key)
        return await self._send(
            showtime_id, PauseSales(command_id=command_id, fingerprint=fingerprint)
        )

    async def resume(self, showtime_id: bytes, key: IdempotencyKey | None) -> Intervened:
        """Accept holds again."""
        command_id, fingerprint = command_key(key)
        return await self._send(
            showtime_id, ResumeSales(command_id=command_id, fingerprint=fingerprint)
        )

    async def _send(self, showtime_id: bytes, command: AnyCommand) -> Intervened:
        outcome = await self._showtimes.ask(showtime_id, command)
        return granted(_intervened(showtime_id, outcome))


def _intervened(showtime_id: bytes, outcome: Outcome) -> Intervened | Rejection:
    """The showtime after a command; raises what was refused."""
    if not isinstance(outcome, Accepted):
        return refusal_of(outcome)
    event, labels = outcome.event, outcome.terms.plan.labels
    seats = event.seats if isinstance(event, SeatsBlocked | SeatsUnblocked) else ()
    return Intervened(
        showtime_id=UUID(bytes=showtime_id),
        epoch=outcome.epoch,
        seq=outcome.seq,
        at=moment(outcome.at_us),
        recorded=event is not None,
        seats=[labels[seat] for seat in seats],
    )
