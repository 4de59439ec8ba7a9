"""Deletes what is no longer needed: old stored replies, journals past their retention."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Final

import structlog

from cinema.actors.dispatch import Dispatch
from cinema.domain.limits import ENDED_HOLD_TTL_S, IDEMPOTENCY_TTL_S
from cinema.domain.rejections import Refused
from cinema.features.feature import Sweep
from cinema.storage.database.transactions import Pool
from cinema.storage.journal.months import JournalMonths, Month, outside
from cinema.storage.journal.outbox import Outbox
from cinema.storage.journal.postgres import PostgresJournal
from cinema.storage.journal.retention import BEGINNING, Retention
from cinema.storage.journal.store import ENDED_HOLD, STORED_REPLY, StoreUnavailable

HOUSEKEEPING_FAILED: Final = "housekeeping_failed"

PERIOD_S: Final = 600.0
"""Time between two rounds: nothing here is urgent."""

PAGE: Final = 1000
"""Rows or showtimes in one step; a round takes as many steps as there is work."""

SETTLED_AT_ONCE: Final = 64
"""Showtimes that are brought into memory together, so that their snapshots become complete; each
may wait for a lease."""

OUTBOX_KEPT_S: Final = 7 * 86_400
"""How long a row of the outbox waits for a job that acts on its kind: longer than a deployment or a
repair of such a job takes."""

_DAY_US: Final = 86_400 * 1_000_000

log = structlog.get_logger()


class Housekeeping:
    """One round every `PERIOD_S`, on every node; rows that another node works on are left out.

    `sweeps` are those of the features, by name. `sessions` are connections that keep their session,
    where those of `pool` do not.
    """

    def __init__(
        self,
        journal: PostgresJournal,
        pool: Pool,
        dispatch: Dispatch,
        retention_days: int,
        sweeps: Mapping[str, Sweep],
        *,
        sessions: Pool | None = None,
    ) -> None:
        self._journal = journal
        self._dispatch = dispatch
        self._sweeps = sweeps
        self._outbox = Outbox(pool)
        # The kernel's connections use plans that do not depend on the size of tables.
        self._retention = Retention(journal.pool)
        self._months = JournalMonths(sessions or pool)
        self._retention_us = retention_days * _DAY_US

    async def run(self) -> None:
        """Run as long as the node runs."""
        while True:
            await asyncio.sleep(PERIOD_S)
            await self.round()

    async def round(self) -> None:
        """Do everything that is due now. A failure does not stop the rest.

        Raises the last unexpected failure at the end.
        """
        now_us = self._dispatch.clock.now_us()
        unforeseen: Exception | None = None
        parts: dict[str, Callable[[int], Awaitable[None]]] = {
            "months": self._add_months,
            "archive": self._sweep_archive,
            **{name: partial(_swept, sweep) for name, sweep in self._sweeps.items()},
            "outbox": self._forget_outbox,
            "ended-showtimes": self._let_go,
        }
        for name, part in parts.items():
            try:
                await part(now_us)
            except (StoreUnavailable, Refused) as error:
                log.warning(HOUSEKEEPING_FAILED, part=name, reason=str(error))
            except Exception as error:
                log.exception(HOUSEKEEPING_FAILED, part=name, reason=repr(error))
                unforeseen = error
        if unforeseen is not None:
            raise unforeseen

    async def _add_months(self, _now_us: int) -> None:
        await self._months.make()

    async def _sweep_archive(self, now_us: int) -> None:
        replies_us = now_us - IDEMPOTENCY_TTL_S * 1_000_000
        holds_us = now_us - min(ENDED_HOLD_TTL_S * 1_000_000, self._retention_us)
        for kind, before_us in ((STORED_REPLY, replies_us), (ENDED_HOLD, holds_us)):
            await _until_done(partial(self._journal.sweep_archive, kind, before_us, PAGE))

    async def _forget_outbox(self, now_us: int) -> None:
        before = _moment(now_us - OUTBOX_KEPT_S * 1_000_000)
        await _until_done(partial(self._outbox.forget, before, PAGE))

    async def _let_go(self, now_us: int) -> None:
        """Seal showtimes that ended long ago; then drop the months in which all are sealed."""
        before = _moment(now_us - self._retention_us)
        months = await self._months.attached()
        after = BEGINNING
        while page := await self._retention.ended(before, after, PAGE):
            await self._seal([showtime_id for _, showtime_id in page], before, months)
            after = page[-1]
        await self._months.let_go(before)

    async def _seal(self, ended: list[bytes], before: datetime, months: list[Month]) -> None:
        for showtime_id in outside(months, ended):
            # Its events belong to no month, so they are never dropped with one.
            await self._retention.drain(showtime_id)
        sealed = await self._retention.seal(ended, before)
        # The others were left by an owner that died, or are in memory. Their owner gives them back
        # with a snapshot when they are idle, and a later round seals them.
        left = [showtime_id for showtime_id in ended if showtime_id not in sealed]
        for start in range(0, len(left), SETTLED_AT_ONCE):
            some = left[start : start + SETTLED_AT_ONCE]
            await asyncio.gather(*(self._dispatch.truncate(showtime_id) for showtime_id in some))


async def _swept(sweep: Sweep, now_us: int) -> None:
    await _until_done(partial(sweep, _moment(now_us), PAGE))


async def _until_done(step: Callable[[], Awaitable[int]]) -> None:
    """Repeat a step until it has less than a full page to do."""
    while await step() == PAGE:
        pass


def _moment(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us / 1_000_000, UTC)
