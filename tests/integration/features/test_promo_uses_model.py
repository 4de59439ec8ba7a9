"""Uses of promo codes against a model, in the real Postgres: whatever dies, no limit is exceeded.

A step is one of a node (a use is reserved, given back, swept), or an event of a showtime. A node
may lose its connection before or behind each statement of a reservation, and its commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeVar
from uuid import UUID, uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from cinema.domain.rejections import Refused
from cinema.features.pricing.promo_use_store import UNDER_WAY, PromoUsesRepository
from cinema.features.pricing.rows import PROMO_USES
from cinema.features.pricing.use_rules import UseOfCode
from cinema.storage.database.pool import close_pool, open_pool

pytestmark = pytest.mark.postgres

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CUSTOMERS = ("ann", "bert", "cleo", None)
BRANCH = PROMO_USES.sql.replace("$rows r", "(select $1::uuid as booking_id, $2::text as state) r")
COMMIT = 4
"""The last of what a reservation does: take, count, reserve, commit."""

T = TypeVar("T")


class Dying:
    """A pool whose connections are lost at one of their statements, before or behind it."""

    def __init__(self, pool: Any, at: int, *, behind: bool) -> None:
        self._pool, self._at, self._behind = pool, at, behind

    async def acquire(self, **how: Any) -> Any:
        return DyingConnection(await self._pool.acquire(**how), self._at, behind=self._behind)

    async def release(self, connection: Any, **how: Any) -> None:
        await self._pool.release(connection.real, **how)


class DyingConnection:
    """See `Dying`."""

    def __init__(self, real: Any, at: int, *, behind: bool) -> None:
        self.real, self._at, self._behind = real, at, behind
        self._done = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def transaction(self) -> Any:
        running, outer = self.real.transaction(), self

        class Running:
            start, rollback = running.start, running.rollback

            async def commit(self) -> None:
                await outer.reach(COMMIT, running.commit())

        return Running()

    async def reach(self, number: int, doing: Awaitable[T]) -> T:
        """Do something, unless the connection is lost there."""
        dies = number == self._at
        if dies and not self._behind:
            self.real.terminate()
        result = await doing
        if dies:
            self.real.terminate()
            raise asyncpg.ConnectionDoesNotExistError
        return result

    async def fetchrow(self, *what: Any) -> Any:
        return await self._next(self.real.fetchrow(*what))

    async def fetchval(self, *what: Any) -> Any:
        return await self._next(self.real.fetchval(*what))

    async def execute(self, *what: Any) -> Any:
        return await self._next(self.real.execute(*what))

    async def _next(self, doing: Awaitable[T]) -> T:
        self._done += 1
        return await self.reach(self._done, doing)


class Use:
    """A use as it is on paper."""

    def __init__(self, customer: str | None) -> None:
        self.customer = customer
        self.state = "reserved"
        self.has_booking = False

    @property
    def counts(self) -> bool:
        return self.state != "returned"


class PromoUses(RuleBasedStateMachine):
    """A code with limits, its uses, and who wants to use it."""

    address: ClassVar[str]

    @initialize(limit=st.sampled_from([1, 3, 6]), each=st.sampled_from([None, 1, 2]))
    def begin(self, limit: int, each: int | None) -> None:
        self.loop = asyncio.new_event_loop()
        self.pool = self.run(open_pool(self.address, size=4))
        self.uses = PromoUsesRepository(self.pool)
        self.limit, self.each, self.promo = limit, each, uuid4()
        self.paper: dict[UUID, Use] = {}
        insert = (
            "insert into promo_codes (id, code, code_key, terms, max_uses, created_at)"
            " values ($1, 'CODE', $2, jsonb_build_object('max_uses_per_customer', $3::int), $4, $5)"
        )
        self.run(self.pool.execute(insert, self.promo, self.promo.hex, each, limit, NOW))

    def run(self, doing: Awaitable[T]) -> T:
        async def done() -> T:
            return await doing

        return self.loop.run_until_complete(done())

    def teardown(self) -> None:
        if hasattr(self, "pool"):
            self.run(self.pool.execute("delete from promo_uses where promo_id = $1", self.promo))
            self.run(close_pool(self.pool))
        if hasattr(self, "loop"):
            self.loop.close()

    # --- on paper

    def refusals(self, customer: str | None) -> list[str]:
        """Why a customer may not use the code (once more), in the order of precedence."""
        counted = [one for one in self.paper.values() if one.counts]
        theirs = [one for one in counted if one.customer == customer]
        why = ["UNKNOWN_PROMO_CODE"] if len(counted) >= self.limit else []
        if self.each is not None and customer is not None and len(theirs) >= self.each:
            why.append("PROMO_NOT_APPLICABLE")
        return why

    def refusal(self, customer: str | None) -> str | None:
        """The first of these."""
        return next(iter(self.refusals(customer)), None)

    def some(self, number: int, *states: str) -> UUID | None:
        """One of the uses in these states."""
        those = [name for name, one in self.paper.items() if one.state in states]
        return those[number % len(those)] if those else None

    @contextmanager
    def refused(self, code: str) -> Iterator[None]:
        with pytest.raises(Refused) as refused:
            yield
        assert refused.value.rejection.code == code

    def reservation(
        self, customer: str | None, booking_id: UUID, uses: PromoUsesRepository | None = None
    ) -> Awaitable[None]:
        names = [] if customer is None else [f"id:{customer}", f"mail:{customer}"]
        use = UseOfCode(promo_id=self.promo, booking_id=booking_id)
        return (uses or self.uses).reserve(use, names[-1:] or names, NOW)

    # --- what happens

    @rule(customer=st.sampled_from(CUSTOMERS))
    def a_use_is_reserved(self, customer: str | None) -> None:
        booking_id, refusal = uuid4(), self.refusal(customer)
        if refusal is None:
            self.run(self.reservation(customer, booking_id))
            self.paper[booking_id] = Use(customer)
        else:
            with self.refused(refusal):
                self.run(self.reservation(customer, booking_id))

    @rule(customers=st.lists(st.sampled_from(CUSTOMERS), min_size=2, max_size=4))
    def several_want_it_at_once(self, customers: list[str | None]) -> None:
        ids = [uuid4() for _ in customers]
        wishes = zip(customers, ids, strict=True)

        async def all_at_once() -> list[Any]:
            return await asyncio.gather(
                *(self.reservation(one, booking_id) for one, booking_id in wishes),
                return_exceptions=True,
            )

        answers = self.run(all_at_once())
        for customer, booking_id, answer in zip(customers, ids, answers, strict=True):
            if answer is None:
                assert self.refusal(customer) is None
                self.paper[booking_id] = Use(customer)
        for customer, answer in zip(customers, answers, strict=True):
            if answer is not None:
                assert isinstance(answer, Refused)
                assert answer.rejection.code in self.refusals(customer)

    @rule(
        customer=st.sampled_from(CUSTOMERS),
        at=st.integers(1, COMMIT),
        behind=st.booleans(),
    )
    def a_node_dies_while_it_reserves(self, customer: str | None, at: int, *, behind: bool) -> None:
        if self.refusal(customer) is not None:
            return
        # Without a limit for each, or for nobody, nothing is counted: two statements, and a commit.
        counted = self.each is not None and customer is not None
        if not counted and at == COMMIT - 1:
            return
        booking_id = uuid4()
        dying = PromoUsesRepository(Dying(self.pool, at, behind=behind))  # type: ignore[arg-type]
        with self.refused("OUTCOME_UNKNOWN" if at == COMMIT else "RETRY"):
            self.run(self.reservation(customer, booking_id, dying))
        if at == COMMIT and behind:
            self.paper[booking_id] = Use(customer)

    @precondition(lambda self: self.some(0, "reserved") is not None)
    @rule(number=st.integers(0, 9))
    def a_booking_is_made(self, number: int) -> None:
        booking_id = self.some(number, "reserved")
        assert booking_id is not None
        self.event(booking_id, "used")

    @precondition(lambda self: self.some(0, "used") is not None)
    @rule(number=st.integers(0, 9))
    def a_booking_ends(self, number: int) -> None:
        booking_id = self.some(number, "used")
        assert booking_id is not None
        self.event(booking_id, "ended")

    @precondition(lambda self: self.some(0, "ended", "returned") is not None)
    @rule(number=st.integers(0, 9))
    def a_late_payment_confirms_it_after_all(self, number: int) -> None:
        booking_id = self.some(number, "ended", "returned")
        assert booking_id is not None
        if self.paper[booking_id].has_booking:
            self.event(booking_id, "used")

    def event(self, booking_id: UUID, state: str) -> None:
        """What the statement of an event writes; a booking has its row from then on."""
        use = self.paper[booking_id]
        if not use.has_booking:
            insert = (
                "insert into bookings (id, code, showtime_id, user_id, hold_id, status,"
                " total_minor, currency, created_at)"
                " values ($1, $2, $1, $1, $1, 'confirmed', 0, 'EUR', $3)"
            )
            self.run(self.pool.execute(insert, booking_id, booking_id.hex[:12], NOW))
            use.has_booking = True
        self.run(self.pool.execute(BRANCH, booking_id, state))
        if use.state != "returned":
            use.state = state

    @precondition(lambda self: bool(self.paper))
    @rule(number=st.integers(0, 9), twice=st.booleans())
    def a_refused_booking_gives_its_use_back(self, number: int, *, twice: bool) -> None:
        """A node knows that a booking was not made; for one that was it does nothing."""
        booking_id = list(self.paper)[number % len(self.paper)]

        async def give_back() -> None:
            await asyncio.gather(
                *(self.uses.give_back(booking_id) for _ in range(1 + twice)),
            )

        self.run(give_back())
        if self.paper[booking_id].state == "reserved":
            self.paper[booking_id].state = "returned"

    @rule(later=st.booleans(), nodes=st.integers(1, 3))
    def nodes_sweep(self, nodes: int, *, later: bool) -> None:
        now = NOW + UNDER_WAY + timedelta(seconds=1 if later else -1)

        async def sweep() -> int:
            done = await asyncio.gather(
                *(self.uses.return_ended(now, 100) for _ in range(nodes)),
            )
            return sum(done)

        expected = [
            one
            for one in self.paper.values()
            if one.state == "ended" or (later and one.state == "reserved" and not one.has_booking)
        ]
        assert self.run(sweep()) == len(expected)
        for one in expected:
            one.state = "returned"

    # --- what must always be true

    @invariant()
    def the_code_counts_what_is_on_paper(self) -> None:
        if not hasattr(self, "pool"):
            return
        rows = self.run(
            self.pool.fetch(
                "select booking_id, state from promo_uses where promo_id = $1", self.promo
            )
        )
        states = {UUID(bytes=row["booking_id"].bytes): row["state"] for row in rows}
        assert states == {name: one.state for name, one in self.paper.items()}
        counted = len([one for one in self.paper.values() if one.counts])
        uses = "select uses from promo_codes where id = $1"
        assert self.run(self.pool.fetchval(uses, self.promo)) == counted <= self.limit
        if self.each is not None:
            for customer in CUSTOMERS[:-1]:
                theirs = [
                    one for one in self.paper.values() if one.counts and one.customer == customer
                ]
                assert len(theirs) <= self.each


def test_uses_of_a_code_are_what_they_are_on_paper(shared_database: str) -> None:
    PromoUses.address = shared_database
    slowly = settings(
        max_examples=25,
        stateful_step_count=25,
        suppress_health_check=[HealthCheck.too_slow],
    )
    run_machine(PromoUses, settings=slowly)
