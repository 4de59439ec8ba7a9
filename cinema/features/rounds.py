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


def in_proportion(
    rests_for: float, *, least_s: float = 0.0, most_s: float = REST_MOST_S
) -> Callable[[float], float]:
    """A rest that is so many times as long as the call before it took, within bounds."""

    def rest_s(took_s: float) -> float:
        return max(least_s, min(most_s, rests_for * took_s))

    return rest_s


class Rounds:
    """Calls a job as long as the node runs, with a rest of `period_s` behind each call.

    If the job answers True there may be more to do, and the rest is what `behind_more` makes of the
    seconds that the call took: none, unless it is given. What it refuses is logged with `write` as
    `failed`, and tried again behind a rest.
    """

    def __init__(
        self,
        write: Callable[..., object],
        failed: str,
        period_s: float,
        *,
        behind_more: Callable[[float], float] = lambda _took_s: 0.0,
        rest: Rest = asyncio.sleep,
    ) -> None:
        self._write = write
        self._failed = failed
        self._period_s = period_s
        self._behind_more = behind_more
        self._rest = rest
        self._limit = LogLimit(lines=FAILURES_A_MINUTE, period_s=60.0)

    async def run(self, work: Callable[[], Awaitable[object]]) -> None:
        """Until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            is_more, began_s = False, clock()
            try:
                is_more = await work() is True
            except Refused as refused:
                self._limit.write(self._write, self._failed, reason=refused.rejection.code)
            if is_more:
                await asyncio.sleep(self._behind_more(clock() - began_s))
            else:
                await self._rest(self._period_s)
