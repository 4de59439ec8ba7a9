"""Checks once a day that no number is missing and no booking lacks its invoice.

Every node asks every `PERIOD_S` whether a check is due, and tells what the last one found; one node
does it. A booking without an invoice gets it now. A gap cannot be mended by a program: somebody has
to look. Bounds: those of `checking_store.py`. Telemetry: the log events below, the metrics of
`metrics.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import structlog

from cinema.features.invoices.checking_store import Checked, ChecksRepository, Gap, Unbilled
from cinema.features.invoices.jobs import PAGE
from cinema.features.invoices.metrics import CheckCounts
from cinema.features.invoices.rules import Due
from cinema.features.invoices.store import InvoicesRepository
from cinema.features.rounds import Rounds

INVOICE_GAP_FOUND: Final = "invoice_gap_found"
INVOICE_MISSED: Final = "invoice_missed"
INVOICES_NOT_CHECKED: Final = "invoices_not_checked"

PERIOD_S: Final = 60.0
"""Time between two looks whether a check is due; what another node found is known as soon."""

log = structlog.get_logger(__name__)


class Checking:
    """Checks the documents; `now` is the time that all nodes share."""

    def __init__(
        self,
        checks: ChecksRepository,
        invoices: InvoicesRepository,
        counts: CheckCounts,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._checks = checks
        self._invoices = invoices
        self._counts = counts
        self._now = now

    async def run(self) -> None:
        """Run as long as the node runs."""
        await Rounds(log.warning, INVOICES_NOT_CHECKED, PERIOD_S).run(self.round)

    async def round(self) -> None:
        """Check if it is due; remember what was found last. Refuses RETRY."""
        if await self._checks.claim(self._now()):
            await self.check()
        checked = await self._checks.latest()
        if checked is not None:
            self._counts.note(checked, self._now())

    async def check(self) -> tuple[Sequence[Gap], Sequence[Unbilled]]:
        """Check now, and make the invoices that are missing. Refuses RETRY, OUTCOME_UNKNOWN."""
        gaps = await self._checks.gaps()
        for gap in gaps:
            log.error(
                INVOICE_GAP_FOUND,
                cinema=str(gap.cinema_id),
                kind=gap.kind,
                year=gap.year,
                missing=gap.missing,
                beyond=gap.beyond,
                numbers=gap.numbers,
            )
        unbilled = await self._checks.unbilled(self._now())
        for start in range(0, len(unbilled), PAGE):
            await self._bill(unbilled[start : start + PAGE])
        count = sum(gap.missing + gap.beyond for gap in gaps)
        await self._checks.note(Checked(self._now(), count, len(unbilled)))
        return gaps, unbilled

    async def _bill(self, unbilled: Sequence[Unbilled]) -> None:
        """Issue invoices that no event asks for any more."""
        for one in unbilled:
            log.warning(INVOICE_MISSED, booking=str(one.booking_id))
        now = self._now()
        await self._invoices.issue(
            [
                Due(
                    showtime_id=one.showtime_id,
                    seq=None,
                    booking_id=one.booking_id,
                    what=None,
                    due_at=now,
                )
                for one in unbilled
            ]
        )
