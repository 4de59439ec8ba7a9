"""Finds the caller of a request, and checks that their account may still act.

A signature proves who somebody was when they signed in. Only the database knows the rest: whether
the account exists, is enabled and still has the role of its token, and whether its session is
open. The database is asked when a token is first seen. A feed of changes says when to ask again.
While the feed is current, a token that was seen before costs one look-up in memory.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection
from typing import Final, Protocol, TypeVar

import msgspec
import structlog

from cinema.actors.tasks import Tasks
from cinema.domain.limits_catalog import (
    ACCOUNT_CHANGES_EVERY_S,
    ACCOUNT_CHANGES_KEPT_S,
    ACCOUNT_CHANGES_OVERLAP_S,
    ACCOUNT_CHANGES_WAIT_S,
    ACCOUNTS_CURRENT_S,
    REFUSED_TOKEN_KEPT_S,
    REFUSED_TOKENS_KEPT,
    VERIFIED_TOKENS_KEPT,
)
from cinema.domain.principal import (
    CUSTOMER,
    TOKEN_EXPIRED,
    TOKEN_REVOKED,
    InvalidToken,
    Principal,
)
from cinema.domain.rejections import Refused, refuse
from cinema.features.accounts.changes_store import AccountChanges
from cinema.features.accounts.shared_looks import SharedLooks, Standings
from cinema.features.accounts.tokens import TimeSource, TokenVerifier
from cinema.telemetry.logging import LogLimit

REVOCATIONS_UNREAD: Final = "revocations_unread"

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Accounts(Standings, Protocol):
    """What the database says about accounts; `AccountStandings` implements it."""

    async def changes(self, since: str | None, missed_s: float) -> AccountChanges:
        """Accounts that changed since a horizon, or in the last `missed_s`. Refuses RETRY."""

    async def forget_changes(self, kept_s: float) -> bool:
        """Delete a page of old changes; True if there may be more. Refuses RETRY."""


class _RefusedToken(msgspec.Struct, frozen=True):
    user_id: bytes
    until_s: float


class TokenAdmission:
    """Admits tokens; after a revocation, demotion, disabling or deletion for five seconds at most.

    That holds on every node, because each one reads the feed by itself. A node that has not read it
    for `ACCOUNTS_CURRENT_S` accepts no token from memory: it asks the database, or answers RETRY.
    """

    def __init__(
        self,
        verifier: TokenVerifier,
        accounts: Accounts,
        *,
        clock: TimeSource,
        steady: TimeSource,
        cache_limit: int = VERIFIED_TOKENS_KEPT,
        needs_factor: frozenset[str] = frozenset(),
        task_failures: Counter[str] | None = None,
    ) -> None:
        """`clock` is for the expiry of tokens, `steady` (monotonic) for the age of the last look.

        An account with a role of `needs_factor` acts as a customer until it has a second factor.
        """
        self._needs_factor = needs_factor
        self._verifier = verifier
        self._accounts = accounts
        self._clock = clock
        self._steady = steady
        self._cache_limit = cache_limit
        self._known: dict[str, Principal] = {}
        self._refused: dict[str, _RefusedToken] = {}
        self._tasks = Tasks(task_failures)
        self._looks = SharedLooks(accounts, self._tasks)
        self._since: str | None = None
        self._read_at_s = -1.0
        self._current_until_s = -1.0
        self._missed = False
        self._unread = LogLimit()
        self._reading: asyncio.Future[None] | None = None

    def verify(self, token: str) -> Principal | None:
        """The principal of a token, None if it has to be looked up; raises `InvalidToken`."""
        principal = self._known.get(token)
        if principal is None:
            return None
        if self._clock() >= principal.expires_at_s:
            del self._known[token]
            raise InvalidToken(TOKEN_EXPIRED)
        return principal if self._steady() < self._current_until_s else None

    async def look_up(self, token: str) -> Principal:
        """The principal of a token, from the database.

        Raises `InvalidToken`. Refuses RETRY when the database cannot be asked, and OVERLOADED when
        too many wait for it.
        """
        if not self._is_current():
            await self.read_changes()
            if not self._is_current():
                raise refuse("RETRY")
        known = self.verify(token)
        if known is not None:
            return known
        claimed = self._verifier.verify(token)
        refused = self._refused.get(token)
        if refused is not None and self._steady() < refused.until_s:
            raise InvalidToken(TOKEN_REVOKED)
        generation = self._verifier.generation
        standing = await self._looks.standing(claimed.user_id, claimed.session_id)
        if self._verifier.generation != generation:
            # The key that verified the token may be gone by now.
            claimed = self._verifier.verify(token)
        if not self._is_current():
            # The answer took so long that the account may have changed since.
            raise refuse("RETRY")
        if standing is None or not standing.allows(claimed.role):
            self._remember_refused(token, claimed.user_id)
            raise InvalidToken(TOKEN_REVOKED)
        principal = msgspec.structs.replace(
            claimed,
            cinema_ids=standing.cinema_ids,
            verified=standing.verified,
            guest_ids=standing.guest_ids,
        )
        if standing.role in self._needs_factor and not standing.has_factor:
            principal = msgspec.structs.replace(principal, role=CUSTOMER, cinema_ids=frozenset())
        self._remember(token, principal)
        return principal

    async def stop(self) -> None:
        """Ask the database no more; those that wait for it get RETRY."""
        await self._tasks.cancel()

    def forget(self, user_ids: Collection[bytes]) -> None:
        """Forget the tokens of these accounts, so that they are looked up again."""
        _drop(self._known, [one for one, who in self._known.items() if who.user_id in user_ids])
        _drop(self._refused, [one for one, who in self._refused.items() if who.user_id in user_ids])
        self._looks.overtake(user_ids)

    def forget_all(self) -> None:
        """Forget all tokens, because the keys that signed them have changed."""
        self._known.clear()
        self._refused.clear()

    async def read_changes(self) -> None:
        """Read what has changed since the last look; a failure is logged and noted.

        Calls at the same time share one look. If the call that looks is cancelled, the others try
        again.
        """
        if self._reading is not None:
            await asyncio.shield(self._reading)
            return
        self._reading = asyncio.get_running_loop().create_future()
        try:
            await self._read_changes()
        except (Refused, TimeoutError) as away:
            self._missed = True
            reason = away.rejection.code if isinstance(away, Refused) else "TIMEOUT"
            self._unread.write(log.warning, REVOCATIONS_UNREAD, reason=reason)
        except Exception:
            self._missed = True
            log.exception(REVOCATIONS_UNREAD)
        finally:
            self._reading.set_result(None)
            self._reading = None

    async def follow(self, every_s: float = ACCOUNT_CHANGES_EVERY_S) -> None:
        """Read the feed periodically, as long as the node runs.

        After each look it deletes one page of old changes, so that deleting never delays a look.
        """
        forget_at_s = self._steady()
        while True:
            await self.read_changes()
            if self._steady() >= forget_at_s and not self._missed:
                now_s = self._steady()
                if not await self._forget_changes():
                    forget_at_s = now_s + ACCOUNT_CHANGES_KEPT_S / 24
            await asyncio.sleep(every_s)

    def __len__(self) -> int:
        return len(self._known)

    def _is_current(self) -> bool:
        return self._steady() < self._current_until_s

    async def _read_changes(self) -> None:
        asked_at_s = self._steady()
        missed_s = 0.0
        if self._missed and self._since is not None:
            # Another server may answer now, with other transaction numbers.
            missed_s = asked_at_s - self._read_at_s + ACCOUNT_CHANGES_OVERLAP_S
        async with asyncio.timeout(ACCOUNT_CHANGES_WAIT_S):
            changes = await self._accounts.changes(self._since, missed_s)
        if self._since is None or missed_s > ACCOUNT_CHANGES_KEPT_S:
            self._forget_all()
        elif int(changes.horizon) < int(self._since):
            # Another server, or a restored one, that has not used these numbers yet: the feed would
            # never show what it has counted below ours.
            self._forget_all()
        elif changes.user_ids:
            self.forget(changes.user_ids)
        self._since = changes.horizon
        self._missed = False
        self._read_at_s = asked_at_s
        self._current_until_s = asked_at_s + ACCOUNTS_CURRENT_S

    async def _forget_changes(self) -> bool:
        """Delete a page; True if there may be more, False also after a failure."""
        try:
            return await self._accounts.forget_changes(ACCOUNT_CHANGES_KEPT_S)
        except Refused as away:
            self._unread.write(log.warning, REVOCATIONS_UNREAD, reason=away.rejection.code)
        except Exception:
            log.exception(REVOCATIONS_UNREAD)
        return False

    def _remember(self, token: str, principal: Principal) -> None:
        if len(self._known) >= self._cache_limit:
            self._make_room()
        self._known[token] = principal

    def _make_room(self) -> None:
        """Drop expired tokens, then the oldest, until a quarter of the room is free.

        A quarter at a time keeps the cost of one new token constant on average.
        """
        now_s = self._clock()
        _drop(self._known, [one for one, who in self._known.items() if who.expires_at_s <= now_s])
        excess = len(self._known) - self._cache_limit * 3 // 4
        _drop(self._known, list(self._known)[: max(excess, 0)])

    def _remember_refused(self, token: str, user_id: bytes) -> None:
        """Remember a refusal, so that repeating a bad token does not reach the database."""
        if len(self._refused) >= REFUSED_TOKENS_KEPT:
            self._refused.clear()
        self._refused[token] = _RefusedToken(user_id, self._steady() + REFUSED_TOKEN_KEPT_S)

    def _forget_all(self) -> None:
        self._known.clear()
        self._refused.clear()
        self._looks.overtake()


def _drop(kept: dict[str, T], tokens: Collection[str]) -> None:
    for token in tokens:
        del kept[token]
