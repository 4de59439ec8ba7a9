"""Presale codes: made by managers, used with holds before sales open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
import structlog

from cinema.actors.dispatch import Dispatch
from cinema.actors.messages import NoShowtime, Outcome
from cinema.actors.tasks import Tasks
from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused, Rejection, refuse
from cinema.domain.showtime.commands import HoldBestAvailable, HoldSeats
from cinema.features.accounts.authority import require_own_cinema
from cinema.features.presale.shapes import PresaleCode, PresaleGone, PresaleInput, PresaleTerms
from cinema.features.presale.store import LOOK_AFTER, PresaleRepository, Use
from cinema.features.pricing.service import Seen, versions
from cinema.features.seats.service import HoldAnswer

PRESALE_HOLD_FAILED: Final = "presale_hold_failed"

AT_ONCE: Final = 1_000
"""Holds with a code that are under way on a node; more are refused as OVERLOADED."""

USED_AT_ONCE: Final = 3
"""Uses that are being taken on a node: all of one code wait for one row, and must not do so with
everybody's connections."""

_OVERLOADED: Final = Rejection(code="OVERLOADED")
_INTERNAL: Final = Rejection(code="INTERNAL")

log = structlog.get_logger(__name__)


def code_key(text: str) -> str:
    """What is the same for all ways to write a code."""
    return text.casefold()


class PresaleService:
    """Use cases of presale codes; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        store: PresaleRepository,
        dispatch: Dispatch,
        tasks: Tasks,
        *,
        new_id: Callable[[], UUID],
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._dispatch = dispatch
        self._tasks = tasks
        self._new_id = new_id
        self._now = now
        self._under_way = 0
        self._using = asyncio.Semaphore(USED_AT_ONCE)

    # --- managers

    async def codes(self, showtime_id: UUID, by: Principal) -> list[PresaleCode]:
        """The codes of a showtime. Refuses NOT_FOUND, FORBIDDEN."""
        require_own_cinema(by, await self._store.cinema_of(showtime_id))
        return await self._store.list(showtime_id)

    async def add(self, showtime_id: UUID, by: Principal, request: PresaleInput) -> PresaleCode:
        """A new code. Refuses NOT_FOUND, FORBIDDEN, NAME_TAKEN, VALIDATION_ERROR."""
        require_own_cinema(by, await self._store.cinema_of(showtime_id))
        return await self._store.add(
            *(self._new_id(), showtime_id, request, code_key(request.code)),
            *(UUID(bytes=by.user_id), self._now()),
        )

    async def change(
        self, showtime_id: UUID, code_id: UUID, by: Principal, terms: PresaleTerms, seen: Seen
    ) -> PresaleCode:
        """A code by other terms; its text and its uses stay.

        Refuses NOT_FOUND, FORBIDDEN, PRECONDITION_REQUIRED, PRECONDITION_FAILED.
        """
        require_own_cinema(by, await self._store.cinema_of(showtime_id))
        at, by_id = self._now(), UUID(bytes=by.user_id)
        return await self._store.change(code_id, showtime_id, terms, versions(seen), at, by_id)

    async def delete(
        self, showtime_id: UUID, code_id: UUID, by: Principal, seen: Seen
    ) -> PresaleGone:
        """Nobody can use a code any longer.

        Refuses NOT_FOUND, FORBIDDEN, PRECONDITION_REQUIRED, PRECONDITION_FAILED.
        """
        require_own_cinema(by, await self._store.cinema_of(showtime_id))
        at, by_id = self._now(), UUID(bytes=by.user_id)
        await self._store.delete(code_id, showtime_id, versions(seen), at, by_id)
        return PresaleGone(id=code_id)

    # --- holds

    def hold(
        self,
        showtime_id: bytes,
        command: HoldSeats | HoldBestAvailable,
        code: str,
        answer: HoldAnswer,
    ) -> None:
        """Use a code for a hold, and send it; `answer` is told PRESALE_CODE_REFUSED otherwise."""
        if self._under_way >= AT_ONCE:
            answer(_OVERLOADED)
            return
        self._under_way += 1
        self._tasks.start("presale-hold", self._held(showtime_id, command, code, answer))

    async def _held(
        self,
        showtime_id: bytes,
        command: HoldSeats | HoldBestAvailable,
        code: str,
        answer: HoldAnswer,
    ) -> None:
        outcome: Outcome
        try:
            outcome = await self._outcome(showtime_id, command, code)
        except Refused as refused:
            outcome = refused.rejection
        except Exception:
            log.exception(PRESALE_HOLD_FAILED)
            outcome = _INTERNAL
        finally:
            self._under_way -= 1
        answer(outcome)

    async def _outcome(
        self, showtime_id: bytes, command: HoldSeats | HoldBestAvailable, code: str
    ) -> Outcome:
        # The command's id is the same for a request that is repeated under its key.
        use = Use(
            UUID(bytes=command.command_id),
            UUID(bytes=showtime_id),
            UUID(bytes=command.customer),
            UUID(bytes=command.hold_id),
        )
        now = self._now()
        async with self._using:
            used = await self._store.use(use, code_key(code), now)
        if isinstance(used, str):
            raise refuse("PRESALE_CODE_REFUSED", reason=used)
        if used is not None:
            command = msgspec.structs.replace(command, hold_id=used.bytes, presale=True)
        outcome = await self._dispatch.ask(showtime_id, command)
        if used == use.hold_id and isinstance(outcome, Rejection | NoShowtime):
            # A repetition gives nothing back: what it repeats may have the hold.
            await self._store.give_back(use.id, now + LOOK_AFTER)
        return outcome
