"""Fills the demo's past in the background, so that nobody waits for it.

A showtime at a time, with a rest as long as its work between two: seats come first. What happened
is written without being told: no mails go out about the past. Telemetry: the log event below, after
each `TOLD_EVERY` showtimes and at the end.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import structlog

from cinema.demo.catalog import HOUSES
from cinema.demo.past import Party, happenings, parties, people, showtimes
from cinema.demo.past_store import PastRepository
from cinema.demo.store import DemoShowtime
from cinema.domain.rejections import Refused
from cinema.domain.sale_rules import SaleRules
from cinema.features.accounts.passwords import OURSELVES, PasswordHasher
from cinema.storage.database.address import DatabaseAddress
from cinema.storage.database.transactions import Pool
from cinema.storage.journal.branches import RowBranches
from cinema.storage.journal.postgres import PostgresJournal
from cinema.storage.journal.store import (
    Append,
    CommitAborted,
    CommitUnknown,
    StoreUnavailable,
    Takeover,
)
from cinema.storage.journal.terms import TermsSource

DEMO_PAST_MADE: Final = "demo_past_made"
DEMO_PAST_NOT_MADE: Final = "demo_past_not_made"

TOLD_EVERY: Final = 100
TIMEOUT_S: Final = 10.0

log = structlog.get_logger(__name__)


async def add_past(
    pool: Pool,
    address: DatabaseAddress,
    branches: RowBranches,
    rules: SaleRules,
    bcrypt_cost: int,
    now: datetime,
) -> None:
    """Make what is missing of the past; if the database fails, a later start goes on."""
    try:
        await _PastMaker(pool, address, branches, rules).make(bcrypt_cost, now)
    except (StoreUnavailable, CommitAborted, CommitUnknown) as problem:
        log.warning(DEMO_PAST_NOT_MADE, reason=type(problem).__name__)
    except Refused as refused:
        log.warning(DEMO_PAST_NOT_MADE, reason=refused.rejection.code)


class _PastMaker:
    def __init__(
        self, pool: Pool, address: DatabaseAddress, branches: RowBranches, rules: SaleRules
    ) -> None:
        self._store = PastRepository(pool)
        self._address = address
        self._branches = branches
        self._terms = TermsSource(pool, rules)

    async def make(self, bcrypt_cost: int, now: datetime) -> None:
        """All of it."""
        shown = await asyncio.to_thread(showtimes, now)
        hasher = PasswordHasher(bcrypt_cost)
        try:
            # Nobody knows the word, so nobody signs in as they.
            nobody = await hasher.hash(secrets.token_urlsafe(), OURSELVES)
        finally:
            hasher.close()
        cinemas = [house.cinema.id for house in HOUSES]
        await self._store.begin(shown, people(), cinemas, nobody, now)
        due = await self._store.due([one.id for one in shown])
        if not due:
            return
        came = await asyncio.to_thread(lambda: list(parties(shown)))
        journal = await PostgresJournal.open(
            self._address,
            self._branches,
            connections=1,
            statement_timeout_s=TIMEOUT_S,
            lock_timeout_s=TIMEOUT_S,
        )
        try:
            await self._fill(journal, [one for one in came if one[0].id in due])
        finally:
            await journal.close()
        await self._store.end()

    async def _fill(
        self, journal: PostgresJournal, came: Sequence[tuple[DemoShowtime, list[Party]]]
    ) -> None:
        clock = asyncio.get_running_loop().time
        lane = journal.lane()
        try:
            for number, (showtime, those) in enumerate(came, start=1):
                began_s = clock()
                terms = await self._terms.load_terms(showtime.id.bytes)
                taken = await journal.take_over(showtime.id.bytes)
                if terms is None or not isinstance(taken, Takeover):
                    continue
                happened = happenings(showtime, those, terms, taken.epoch, self._branches)
                part = Append(
                    showtime_id=showtime.id.bytes,
                    epoch=taken.epoch,
                    prev_seq=0,
                    last_seq=len(happened.events),
                    events=happened.events,
                )
                # Another node may have been first.
                if happened.events and await lane.append([part]):
                    await self._store.tell(showtime, happened)
                if number % TOLD_EVERY == 0 or number == len(came):
                    log.info(DEMO_PAST_MADE, showtimes=number, of=len(came))
                await asyncio.sleep(clock() - began_s)
        finally:
            await lane.close()
