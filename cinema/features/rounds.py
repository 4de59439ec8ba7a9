"""The loop of a job that looks again and again for something to do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from cinema.domain.rejections import Refused
from cinema.features.feature import Rest
from cinema.telemetry.logging import LogLimit

FAILURES_A_MINUTE: Final = 5
"""Lines of the log while Postgres is away."""

REST_MOST_S: Final = 60.0
"""The longest rest of a job that has more to do: one call that hung must not keep it for hours."""


class Rounds:
    """Calls a job as long as the node runs, with a rest of `period_s` behind each call.

    If the job says that there may be more, the rest is `more_s`, or `rests_for` times as long as
    the call took if that is longer, and at most `REST_MOST_S`. What it refuses is logged with
    `write` as `failed`, and tried again behind a rest.
    """

    def __init__(
        self,
        write: Callable[..., object],
        failed: str,
        period_s: float,
        *,
        more_s: float = 0.0,
        rests_for: float = 0.0,
        rest: Rest = asyncio.sleep,
    ) -> None:
        self._write = write
        self._failed = failed
        self._period_s = period_s
        self._more_s = more_s
        self._rests_for = rests_for
        self._rest = rest
        self._limit = LogLimit(lines=FAILURES_A_MINUTE, period_s=60.0)

    async def run(self, work: Callable[[], Awaitable[bool]]) -> None:
        """Until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            is_more, began_s = False, clock()
            try:
                is_more = await work()
            except Refused as refused:
                self._limit.write(self._write, self._failed, reason=refused.rejection.code)
            if is_more:
                took_s = clock() - began_s
                await asyncio.sleep(max(self._more_s, min(REST_MOST_S, self._rests_for * took_s)))
            else:
                await self._rest(self._period_s)
