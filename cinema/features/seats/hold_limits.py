"""Rate limits of holds, extensions and releases: buckets in memory, without awaits."""

from __future__ import annotations

import math
from collections.abc import Callable
from time import perf_counter
from typing import Final

import msgspec

from cinema.domain.principal import CUSTOMER, Principal
from cinema.domain.token_buckets import TokenBuckets
from cinema.features.accounts.authority import has_counter
from cinema.features.accounts.throttles import Throttles

HOLDS_OF_USER: Final = "holds_user"
HOLDS_OF_STAFF: Final = "holds_staff"
HOLDS_OF_ADDRESS: Final = "holds_address"


class HoldRates(msgspec.Struct, frozen=True, kw_only=True):
    """How fast, and how much at once; the settings with the same names document each."""

    holds_per_second_per_user: int = 5
    holds_per_second_per_staff: int = 20
    holds_per_second_per_address: int = 100
    holds_burst_seconds: int = 6


class HoldLimits:
    """Refuses commands to holds that come faster than the rates; each node counts for itself.

    Staff at a cinema share one address with each other and with customers there. So staff are
    counted only by user, not by address.
    """

    def __init__(
        self, throttles: Throttles, rates: HoldRates, *, clock: Callable[[], float] = perf_counter
    ) -> None:
        burst_s = rates.holds_burst_seconds
        self._throttles = throttles
        self._clock = clock
        self._users = _buckets(rates.holds_per_second_per_user, burst_s)
        self._staff = _buckets(rates.holds_per_second_per_staff, burst_s)
        self._addresses = _buckets(rates.holds_per_second_per_address, burst_s)

    def check(self, principal: Principal, address_key: str) -> None:
        """Count one command. Refuses RATE_LIMITED with `retry_after_s`."""
        now_s = self._clock()
        if principal.role == CUSTOMER:
            # Each hold of a customer passes here, so a known customer whose buckets have enough
            # room costs no further call.
            users, addresses, user_id = self._users, self._addresses, principal.user_id
            user_s = users.full_at.get(user_id)
            address_s = addresses.full_at.get(address_key)
            if user_s is not None and address_s is not None:
                user_s = max(user_s, now_s) + users.interval_s
                address_s = max(address_s, now_s) + addresses.interval_s
                if user_s <= now_s + users.slack_s and address_s <= now_s + addresses.slack_s:
                    users.full_at[user_id] = user_s
                    addresses.full_at[address_key] = address_s
                    return
        elif has_counter(principal):
            self._refuse(HOLDS_OF_STAFF, self._staff.take(principal.user_id, now_s))
            return
        self._refuse(HOLDS_OF_USER, self._users.take(principal.user_id, now_s))
        self._refuse(HOLDS_OF_ADDRESS, self._addresses.take(address_key, now_s))

    def _refuse(self, kind: str, wait_s: float) -> None:
        if wait_s:
            raise self._throttles.refusal(kind, max(1, math.ceil(wait_s)))


def _buckets(rate_per_s: int, burst_s: int) -> TokenBuckets:
    return TokenBuckets(rate_per_s, rate_per_s * burst_s)
