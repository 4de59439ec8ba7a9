"""Look-ups of accounts; those that arrive while one is running share the next statement.

After a start, or when everybody was forgotten, each token has to be looked up. One statement for
each would occupy the connections of the pool, and one answer would wait for many others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Final, Protocol, TypeAlias

from cinema.actors.tasks import Tasks
from cinema.domain.limits_catalog import (
    ACCOUNT_LOOK_WAIT_S,
    ACCOUNT_LOOKS_AT_ONCE,
    ACCOUNT_LOOKS_WAITING,
)
from cinema.domain.rejections import Refused, Rejection, refuse
from cinema.features.accounts.changes_store import Standing
from cinema.features.refusals import granted

SHARED_LOOKS: Final = "shared-looks"
"""The name of the task that asks for those who have waited."""

_LOOKS: Final = 3
"""How often an account is looked up if it changes meanwhile; two changes are rare."""

Holder: TypeAlias = tuple[bytes, bytes]
"""Whom a token names: the account (or guest) and its session."""


class Standings(Protocol):
    """What the database says about accounts; `AccountStandings` implements it."""

    async def standings(self, holders: Sequence[Holder]) -> Mapping[Holder, Standing]:
        """The present state of these accounts, without those that have ended. Refuses RETRY."""


class _SharedLook:
    """One holder's look-up, for the `askers` who wait for it.

    `overtaken` if the account has changed since the database was asked.
    """

    __slots__ = ("answer", "askers", "ended", "overtaken")

    def __init__(self) -> None:
        self.askers = 0
        self.ended = asyncio.Event()
        self.overtaken = False
        self.answer: Standing | Rejection | None = None

    def end(self, answer: Standing | Rejection | None) -> None:
        self.answer = answer
        self.ended.set()


class SharedLooks:
    """Asks for one account at once, and then for all who have come meanwhile, page by page.

    An answer is never older than the question: who comes while a statement is running waits for the
    next one. A client that leaves takes no other along.
    """

    def __init__(
        self,
        source: Standings,
        tasks: Tasks,
        *,
        waiting_limit: int = ACCOUNT_LOOKS_WAITING,
        page: int = ACCOUNT_LOOKS_AT_ONCE,
        wait_s: float = ACCOUNT_LOOK_WAIT_S,
    ) -> None:
        self._source = source
        self._tasks = tasks
        self._waiting_limit = waiting_limit
        self._page = page
        self._wait_s = wait_s
        self._is_running = False
        # A look is in here until its last asker has the answer. The feed may tell of a change after
        # the answer has come and before an asker wakes up.
        self._asked: list[tuple[Holder, _SharedLook]] = []
        self._waiting: dict[Holder, _SharedLook] = {}

    async def standing(self, user_id: bytes, session_id: bytes) -> Standing | None:
        """The state of an account, asked again if a known change has overtaken the answer.

        None if the account or its session has ended. Refuses RETRY, and OVERLOADED if too many
        wait.
        """
        for _ in range(_LOOKS):
            look = await self._look((user_id, session_id))
            standing = granted(look.answer)
            if not look.overtaken:
                return standing
        raise refuse("RETRY")

    def overtake(self, user_ids: Collection[bytes] | None = None) -> None:
        """Have the look-ups of these accounts (None: of all) repeated whose statement has begun."""
        for (user_id, _), look in self._asked:
            if user_ids is None or user_id in user_ids:
                look.overtaken = True

    async def _look(self, holder: Holder) -> _SharedLook:
        if not self._is_running:
            return await self._ask_alone(holder)
        look = self._waiting.get(holder)
        if look is None:
            if len(self._waiting) >= self._waiting_limit:
                raise refuse("OVERLOADED")
            look = self._waiting[holder] = _SharedLook()
        look.askers += 1
        try:
            async with asyncio.timeout(self._wait_s):
                await look.ended.wait()
        except TimeoutError:
            raise refuse("RETRY") from None
        finally:
            look.askers -= 1
        return look

    async def _ask_alone(self, holder: Holder) -> _SharedLook:
        """Ask in the caller's own task, so that it waits for nothing but the statement."""
        self._is_running = True
        look = _SharedLook()
        self._begin([(holder, look)])
        try:
            look.answer = (await self._source.standings([holder])).get(holder)
        finally:
            self._is_running = bool(self._waiting)
            if self._is_running:
                self._tasks.start(SHARED_LOOKS, self._ask_for_the_waiting())
        return look

    async def _ask_for_the_waiting(self) -> None:
        """Ask until nobody waits. A failure is the answer to all: the next would fail like it."""
        rejection = Rejection(code="RETRY")
        page: list[tuple[Holder, _SharedLook]] = []
        try:
            while self._waiting:
                page = list(islice(self._waiting.items(), self._page))
                for holder, _ in page:
                    del self._waiting[holder]
                self._begin(page)
                found = await self._source.standings([holder for holder, _ in page])
                for holder, look in page:
                    look.end(found.get(holder))
                page = []
        except Refused as away:
            rejection = away.rejection
        finally:
            for look in (*(look for _, look in page), *self._waiting.values()):
                look.end(rejection)
            self._waiting = {}
            self._is_running = False

    def _begin(self, page: list[tuple[Holder, _SharedLook]]) -> None:
        """Note that the statement for these begins now."""
        self._asked = [one for one in self._asked if one[1].askers] + page
