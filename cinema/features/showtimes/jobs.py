"""Deletes a film, a cinema or a screen behind its coming showtimes, as long as nobody has booked.

The job is written in the transaction that finds no bookings (`features/catalog/deletion_store.py`).
It closes all sales first and looks again, and only then cancels: what was booked until then is
found while everything can still be undone. A hold from before may be booked later still. An actor
cancels only what nobody has booked, so that this ends the job, too: then the film is kept, and the
sales of what is left open again. What was cancelled by then stays so; nobody had booked it.

Its position is the phase that it is in. A phase may be repeated from its start, since each step
does nothing where it has been done. Bounds: `PAGE`, `ROUNDS_LIMIT`; all others are those of the
engine (`features/jobs`). Telemetry: that of jobs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from cinema.actors.asking import command_key, refusal_of
from cinema.actors.dispatch import Dispatch
from cinema.actors.messages import Accepted
from cinema.domain.showtime.commands import CancelShowtime, PauseSales, ResumeSales, SentCommand
from cinema.features.catalog.deletion_store import (
    DELETABLE,
    Coming,
    Deletable,
    DeletionsRepository,
)
from cinema.features.feature import JobAttempt, JobFailed
from cinema.features.refusals import granted

PAGE: Final = 50
"""Showtimes that are read at a time, a second's work."""

ROUNDS_LIMIT: Final = 5
"""How often it begins again because showtimes were added meanwhile; then somebody is at work there
who does not know of the deletion."""

CLOSE: Final = "close"
CANCEL: Final = "cancel"
REOPEN: Final = "reopen"

BOOKED: Final = "Somebody has booked meanwhile: it is kept. Other showtimes may be cancelled."
ADDED: Final = "Showtimes are being added to it all the time, so it is kept."

_FIRST: Final = UUID(int=0)


class Deletions:
    """Does jobs of the kind `DELETION`."""

    def __init__(
        self,
        dispatch: Dispatch,
        deletions: DeletionsRepository,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._dispatch = dispatch
        self._deletions = deletions
        self._now = now

    async def run(self, attempt: JobAttempt) -> Mapping[str, Any]:
        """Close the sales, look again, cancel, delete; begin with the phase that was reported."""
        work = _Work(self._dispatch, self._deletions, self._now, attempt)
        while True:
            match attempt.position.get("phase"):
                case None:
                    await work.begin()
                case "close":
                    await work.close()
                case "cancel":
                    if await work.cancel():
                        return {"cancelled": attempt.done}
                case _:
                    await work.reopen()


class _Work:
    """One attempt at one job."""

    def __init__(
        self,
        dispatch: Dispatch,
        deletions: DeletionsRepository,
        now: Callable[[], datetime],
        attempt: JobAttempt,
    ) -> None:
        self._dispatch = dispatch
        self._deletions = deletions
        self._now = now
        self._attempt = attempt
        self._kind: Deletable = DELETABLE[attempt.input["kind"]]
        self._id = UUID(attempt.input["id"])

    async def begin(self) -> None:
        """Note which sales others have paused: these stay so if it is kept."""
        paused = await self._deletions.paused(self._kind, self._id, self._now())
        await self._report(CLOSE, paused=[str(one) for one in paused], round=1)

    async def close(self) -> None:
        """Pause all sales, and then look for bookings."""
        if not await self._is_booked():
            async for showtime in self._coming():
                if not showtime.paused:
                    await self._ask(showtime.id, PauseSales(command_id=command_key(None)[0]))
        if await self._is_booked():
            await self._report(REOPEN, why=BOOKED)
        else:
            await self._report(CANCEL)

    async def cancel(self) -> bool:
        """Cancel all that nobody has booked, and delete; False if this is not the end."""
        attempt = self._attempt
        async for showtime in self._coming():
            refused = await self._ask(
                showtime.id,
                CancelShowtime(
                    command_id=command_key(None)[0],
                    seen=(),
                    reason="",
                    job_id=b"",
                    unless_booked=True,
                    by=attempt.owner_id.bytes if attempt.owner_id else b"",
                ),
            )
            if refused == "SHOWTIME_IN_USE":
                await self._report(REOPEN, why=BOOKED)
                return False
            if refused is None:
                await attempt.report(done=attempt.done + 1)
        owner = attempt.owner_id
        if await self._deletions.finish(self._kind, self._id, self._now(), owner):
            return True
        number = attempt.position["round"] + 1
        if number > ROUNDS_LIMIT:
            await self._report(REOPEN, why=ADDED)
        else:
            await self._report(CLOSE, round=number)
        return False

    async def reopen(self) -> None:
        """Resume the sales that the job has paused, and end."""
        position = self._attempt.position
        kept = set(position["paused"])
        async for showtime in self._coming():
            if showtime.paused and str(showtime.id) not in kept:
                await self._ask(showtime.id, ResumeSales(command_id=command_key(None)[0]))
        # Whoever continues the job later begins anew.
        await self._attempt.report(position={})
        raise JobFailed(position["why"])

    async def _is_booked(self) -> bool:
        return await self._deletions.is_booked(self._kind, self._id, self._now())

    async def _coming(self) -> AsyncIterator[Coming]:
        after = _FIRST
        while page := await self._deletions.coming(self._kind, self._id, self._now(), after, PAGE):
            for showtime in page:
                yield showtime
                after = showtime.id

    async def _ask(self, showtime_id: UUID, command: SentCommand) -> str | None:
        """What the showtime refuses for good, None if nothing. Refuses what may be tried again."""
        outcome = await self._dispatch.ask(showtime_id.bytes, command)
        if isinstance(outcome, Accepted):
            return None
        refusal = refusal_of(outcome)
        if refusal.code in {"SHOWTIME_IN_USE", "SHOWTIME_STARTED", "SHOWTIME_CANCELLED"}:
            return refusal.code
        return granted(refusal)

    async def _report(self, phase: str, **changes: Any) -> None:
        await self._attempt.report(position={**self._attempt.position, "phase": phase, **changes})
