"""Issues the documents that are due, within seconds of their events.

Every node looks, and one at a time issues. A document that cannot be made waits longer each time,
and keeps none of the others (`rules.py` has the bounds). The numbers are taken in the transaction
that inserts the documents, so a crash leaves no gap, and what was due is due still. Bounds: `PAGE`
in a transaction, and between two of them a rest that is longer the longer the first took, so that
many bookings at once leave time for the seats; when the oldest has been due for `HURRY_FROM_S`, the
rests are short. Telemetry: the log events below, the metrics of `metrics.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import structlog

from cinema.domain.rejections import Refused
from cinema.features.feature import Rest
from cinema.features.invoices.metrics import InvoiceCounts
from cinema.features.invoices.rules import Due
from cinema.features.invoices.store import InvoicesRepository, IssuingRound
from cinema.features.rounds import Rounds
from cinema.telemetry.logging import LogLimit

INVOICE_NOT_ISSUED: Final = "invoice_not_issued"

PERIOD_S: Final = 1.0
"""Time between two looks."""

REST_S: Final = 0.2
"""Shortest rest between two full transactions: some 400 documents a second at most."""

RESTS: Final = 9
"""How many times as long as a full transaction the rest behind it is: a tenth of the time goes to
documents."""

LONGEST_REST_S: Final = 5.0
"""A transaction that took long, because the database was slow, makes nothing late."""

HURRY_FROM_S: Final = 20.0
"""From this age of the oldest document on rests are as short as they may be: documents are there
within a minute of their events."""

LOOK_EVERY_S: Final = 5.0
"""How often all that waits is counted while there are full pages of it."""

PAGE: Final = 100
"""Documents in one transaction; they are made within about 10 ms, in which the loop does nothing
else."""

log = structlog.get_logger(__name__)


class Issuing:
    """Issues what is due; `now` is the time that all nodes share."""

    def __init__(
        self,
        invoices: InvoicesRepository,
        counts: InvoiceCounts,
        *,
        now: Callable[[], datetime],
        rest: Rest = asyncio.sleep,
    ) -> None:
        self._invoices = invoices
        self._counts = counts
        self._now = now
        self._rest = rest
        self._is_full, self._look_at_s = False, 0.0
        self._limit = LogLimit()

    async def run(self) -> None:
        """Run as long as the node runs."""
        rounds = Rounds(
            log.warning, INVOICE_NOT_ISSUED, PERIOD_S, behind_more=self.rest_s, rest=self._rest
        )
        await rounds.run(self._page)

    async def _page(self) -> bool:
        now_s, was_full = asyncio.get_running_loop().time(), self._is_full
        self._is_full = False
        if not was_full or now_s >= self._look_at_s:
            self._look_at_s = now_s + LOOK_EVERY_S
            await self.look()
        self._is_full = await self.issue()
        return self._is_full

    def rest_s(self, took_s: float) -> float:
        """How long to rest behind a full page that took so long."""
        if self._counts.late_s >= HURRY_FROM_S:
            return REST_S
        return min(max(REST_S, RESTS * took_s), LONGEST_REST_S)

    async def round(self) -> bool:
        """Look, and issue a page of what is due; whether there may be more. Refuses RETRY."""
        await self.look()
        return await self.issue()

    async def look(self) -> None:
        """Count what waits. Refuses RETRY."""
        self._counts.note(await self._invoices.waiting(), self._now())

    async def issue(self) -> bool:
        """Issue a page of what is due; whether there may be more. Refuses RETRY."""
        due = await self._invoices.due(PAGE)
        if due:
            await self._issue(due)
        return len(due) == PAGE

    async def _issue(self, due: Sequence[Due]) -> None:
        """Issue all, or, if something in it goes wrong, one by one: only that stays behind."""
        try:
            self._done(await self._invoices.issue(due))
        except Refused:
            raise
        except Exception as error:
            if len(due) > 1:
                for one in due:
                    await self._issue([one])
                return
            log.exception(INVOICE_NOT_ISSUED, booking=str(due[0].booking_id), reason=repr(error))
            self._counts.failures += 1
            await self._invoices.put_off(due[0], repr(error))

    def _done(self, done: IssuingRound) -> None:
        for document in done.issued:
            self._counts.issued[document.kind] += 1
        for due, problem in done.failed:
            self._counts.failures += 1
            self._limit.write(
                log.error, INVOICE_NOT_ISSUED, booking=str(due.booking_id), reason=problem
            )
