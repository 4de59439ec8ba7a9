"""How often one address may guess at one account."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable

from cinema.domain.limits_catalog import LOGIN_FAILURES, LOGIN_PAIRS_KEPT, LOGIN_WINDOW_S


class LoginThrottle:
    """Counts logins of one (e-mail, address) pair that have not succeeded.

    An attempt counts from its beginning and is taken back by a success, so that guesses sent
    at once count like guesses sent in turn. The window begins with the first failure.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        failures_limit: int = LOGIN_FAILURES,
        window_s: float = LOGIN_WINDOW_S,
        pairs_limit: int = LOGIN_PAIRS_KEPT,
    ) -> None:
        self._clock = clock
        self._failures_limit = failures_limit
        self._window_s = window_s
        self._pairs_limit = pairs_limit
        self._pairs: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()

    def attempt(self, email_key: str, address: str) -> int | None:
        """Count an attempt; None lets it pass, else the seconds until the next may."""
        pair = (email_key, address)
        now_s = self._clock()
        since_s, count = self._pairs.get(pair, (now_s, 0))
        if now_s - since_s >= self._window_s:
            since_s, count = now_s, 0
        if count >= self._failures_limit:
            return max(1, math.ceil(since_s + self._window_s - now_s))
        self._pairs[pair] = (since_s, count + 1)
        self._pairs.move_to_end(pair)
        if len(self._pairs) > self._pairs_limit:
            self._pairs.popitem(last=False)
        return None

    def succeeded(self, email_key: str, address: str) -> None:
        """Forget the pair's failures."""
        self._pairs.pop((email_key, address), None)
