"""A whole cluster in one process: nodes, Postgres, clients, and what goes wrong."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from cinema.actors.kernel import Kernel
from cinema.actors.messages import Message, Outcome, Unavailable
from cinema.cluster.node import ClusterNode
from cinema.domain.ids import parse_id
from cinema.domain.showtime.commands import HoldSeats
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.storage.journal.memory import WrittenRow
from tests.simulation.clients import Client, Reader
from tests.simulation.database import Database
from tests.simulation.exchanging import Exchange
from tests.simulation.faults import Faults
from tests.simulation.machine import START_US, Machine
from tests.simulation.network import Network
from tests.simulation.node import CLUSTER_PORT, Node
from tests.simulation.paying import Money
from tests.simulation.plans import seat_plans
from tests.simulation.profile import Profile, profile_of
from tests.simulation.redis import Redis
from tests.simulation.requests import NEVER_NS, Attempt
from tests.simulation.scheduler import Scheduler, SimulatedLoop
from tests.simulation.store import ViewTable
from tests.simulation.terms import PRICES, terms_loaded
from tests.simulation.trace import Trace
from tests.simulation.views import Views
from tests.simulation.watching import Watcher
from tests.simulation.wires import Wires
from tests.support.actors.scripted_store import RecordingJournal

PATIENCE_S = (0.2, 1.0, 5.0, 5.0)
"""How long clients wait for an answer, before they ask again or go away."""

BOOT_NS = 1_500_000_000
"""When clients come and faults begin."""

WATCHERS_S = 3.5
"""Every watcher has seen the last change this long after it, and a moment for its own way."""

CALM_S = 3.0
"""How long clients go on after everything was healed."""


class Stay:
    """A showtime on a screen, from one moment to another."""

    def __init__(self, showtime_id: bytes, screen_id: bytes, from_ns: int) -> None:
        self.showtime_id = showtime_id
        self.screen_id = screen_id
        self.from_ns = from_ns
        self.until_ns = NEVER_NS


class World:
    """One run; everything random in it follows from the seed."""

    def __init__(
        self,
        seed: int,
        *,
        nodes: int = 0,
        keep_trace: bool = False,
        journal_type: type[RecordingJournal] = RecordingJournal,
        kernel_type: type[Kernel] = Kernel,
        cluster_type: type[ClusterNode] = ClusterNode,
    ) -> None:
        self.seed = seed
        self.profile: Profile = profile_of(seed, nodes)
        profile = self.profile
        self.scheduler = Scheduler()
        self.trace = Trace(lambda: self.scheduler.now_ns, keep=keep_trace)
        self.journal = journal_type(self._true_us)
        self.kernel_type = kernel_type
        self.cluster_type = cluster_type
        self.violations: list[tuple[int, str]] = []
        self.attempts: list[Attempt] = []
        self.money: dict[bytes, Money] = {}
        self.exchanges: list[Exchange] = []
        self.mirrors: list[tuple[bytes, int, bytes, str]] = []
        self.chaos_digest = ""
        self.calm = False
        self.over = False
        self.healed_ns = 0
        self.stray = profile.stray
        self.ids = _rng(seed, "ids")
        self._patience = _rng(seed, "patience")
        self.plans = seat_plans(profile.columns)
        self.journal.sold.on_row = self._switch
        self.journal.sold.is_taken = self._is_taken
        self.terms: dict[bytes, ShowtimeTerms] = {}
        # One for each showtime, and one more, for all times.
        self.screens = [b"screen number %02d" % number for number in range(profile.showtimes + 1)]
        self.stays: list[Stay] = []
        self.showtimes = [self._showtime() for _ in range(profile.showtimes)]
        self.first_terms = dict(self.terms)
        self.database = Database(
            self.journal,
            self.scheduler,
            self.trace,
            _rng(seed, "database"),
            timeout_ns=profile.settings.command_deadline_ms * 1_000_000,
            latency_ms=profile.database_ms,
        )
        self.nodes: dict[str, Node] = {}
        machines = _rng(seed, "machines")
        for number in range(1, profile.nodes + 1):
            machine = Machine(
                self.scheduler,
                drift_ppm=machines.randint(-400, 400),
                wall_error_us=machines.randint(-5_000_000, 5_000_000),
            )
            name = f"n{number}"
            self.nodes[name] = Node(name, self, machine)
        self.names = list(self.nodes)
        self.network = Network(
            self.scheduler,
            self.trace,
            _rng(seed, "network"),
            self.nodes,
            latency_ms=profile.network_ms,
        )
        self.redis = Redis(
            self.scheduler, self.trace, _rng(seed, "redis"), latency_ms=profile.network_ms
        )
        self.wires = Wires(self.scheduler, _rng(seed, "wires"), latency_ms=profile.network_ms)
        for name, node in self.nodes.items():
            self.wires.listening[name, CLUSTER_PORT] = node
        self.view_table = ViewTable()
        self.views = Views(self.scheduler, _rng(seed, "views"), self.nodes)
        self.faults = Faults(self, _rng(seed, "faults"))
        true_clock = Machine(self.scheduler, drift_ppm=0, wall_error_us=0)
        self.loop = SimulatedLoop(self.scheduler, true_clock, self.report)
        self._tasks: list[asyncio.Task[None]] = []

    def _true_us(self) -> int:
        return START_US + self.scheduler.now_ns // 1000

    def _showtime(self) -> bytes:
        showtime_id = self.ids.randbytes(16)
        self.journal.add_showtime(showtime_id)
        far_us = START_US + 10**11
        self.terms[showtime_id] = ShowtimeTerms(
            showtime_id=showtime_id,
            plan=self.plans[0],
            currency="EUR",
            prices_minor=(1000,) * len(self.plans[0].categories),
            starts_at_us=far_us,
            ends_at_us=2 * far_us,
            sales_opens_at_us=0,
            sales_closes_at_us=far_us,
            hold_ttl_s=self.profile.hold_ttl_s,
            hold_max_s=2 * self.profile.hold_ttl_s,
            payment_window_s=self.profile.hold_ttl_s,
            payment_grace_s=1,
            seats_per_hold=10,
            live_holds_per_customer=4,
            seats_per_staff_hold=100,
            live_holds_per_staff=100,
            protect_orphans=False,
            companions_need_accessible=False,
            movie_id=b"the film of them",
            screen_id=self.screens[len(self.terms)],
            base_price_minor=1000,
            book=PRICES,
            book_version=PRICES.book.version,
        )
        self.stays.append(Stay(showtime_id, self.terms[showtime_id].screen_id, 0))
        return showtime_id

    def _switch(self, row: WrittenRow) -> None:
        """What changes of the showtime itself write beside their events."""
        if row.branch != "switched":
            return
        before = self.terms[row.showtime_id]
        now = self.terms[row.showtime_id] = terms_loaded(before, row.row, self.plans)
        if "cancelled_at_us" in row.row:
            self._leave(row.showtime_id)
        elif now.screen_id != before.screen_id:
            self._leave(row.showtime_id)
            if self.who_is_on(now.screen_id) is not None:
                self.violate(f"two showtimes are on {now.screen_id!r}")
            self.stays.append(Stay(row.showtime_id, now.screen_id, self.scheduler.now_ns))

    def _leave(self, showtime_id: bytes) -> None:
        for stay in self.stays:
            if stay.showtime_id == showtime_id:
                stay.until_ns = min(stay.until_ns, self.scheduler.now_ns)

    def who_is_on(self, screen_id: bytes) -> bytes | None:
        """The showtime that has a screen now: all of them take place at the same time."""
        for stay in self.stays:
            if stay.until_ns == NEVER_NS and stay.screen_id == screen_id:
                return stay.showtime_id
        return None

    def _is_taken(self, row: WrittenRow, before: Sequence[WrittenRow]) -> bool:
        """What the exclusion constraint says, also of two that come in one statement."""
        if "screen_id" not in row.row:
            return False
        wanted = row.row["screen_id"]
        if any(one.row.get("screen_id") == wanted for one in before if one.branch == "switched"):
            return True
        return self.who_is_on(parse_id(wanted)) not in {None, row.showtime_id}

    # --- what everybody reports

    def violate(self, what: str) -> None:
        """Something that must never happen has happened."""
        self.trace.add(f"VIOLATION {what}")
        self.violations.append((self.scheduler.now_ns, what))

    def report(self, what: str) -> None:
        """An exception that nobody caught."""
        self.violate(f"uncaught: {what}")

    def durable_seq(self, showtime_id: bytes) -> int:
        """How many events of a showtime are durable now."""
        return len(self.journal.ledger[showtime_id])

    def clock_error_us(self) -> int:
        """By how much the worst clock of a node that has joined may be wrong now."""
        clocks = [node.clock for node in self.nodes.values() if node.clock is not None]
        return max((clock.uncertainty_us() for clock in clocks), default=0)

    # --- what clients do

    async def ask(self, showtime_id: bytes, message: Message, node: str) -> Outcome | None:
        """Send a message to a node; None if no answer came, or nobody was there to ask."""
        return (await self.request(showtime_id, message, node)).heard

    async def request(self, showtime_id: bytes, message: Message, node: str) -> Attempt:
        """`ask`, and all that is known of it."""
        now_ns = self.scheduler.now_ns
        serial = len(self.attempts) + 1
        attempt = Attempt(serial, showtime_id, message, now_ns, self.durable_seq(showtime_id))
        attempt.node = node
        self.attempts.append(attempt)
        answer: asyncio.Future[Outcome | None] = self.loop.create_future()
        self.network.send(attempt, answer)
        patience_s = PATIENCE_S[-1] if self.healed_ns else self._patience.choice(PATIENCE_S)
        timer = self.loop.call_later(patience_s, self._lose_patience, attempt, answer)
        attempt.heard = await answer
        timer.cancel()
        return attempt

    def _lose_patience(self, attempt: Attempt, answer: asyncio.Future[Any]) -> None:
        self.network.forget(attempt)
        if not answer.done():
            self.trace.add(f"client gives up #{attempt.serial}")
            answer.set_result(None)

    # --- the run

    def run(self, *, chaos_only: bool = False) -> None:
        """Chaos, healing, a calm while, then a look at what still works."""
        profile, scheduler, seed = self.profile, self.scheduler, self.seed
        clients = [
            Client(self, f"c{number}", _rng(seed, f"client {number}"))
            for number in range(1, profile.clients + 1)
        ]
        watchers = [
            Watcher(self, f"w{number}", showtime_id, _rng(seed, f"watcher {number}"))
            for number, showtime_id in enumerate(self.showtimes, 1)
        ]
        readers = [
            Reader(self, f"r{number}", _rng(seed, f"reader {number}"))
            for number in range(1, profile.readers + 1)
        ]
        for name in (*self.names, *(one.name for one in (*clients, *watchers))):
            self.views.join(name)
        for node in self.nodes.values():
            node.boot()
        scheduler.run_until(BOOT_NS)
        for actor in (*clients, *readers, *watchers, self.faults):
            self.go(actor.run())
        scheduler.run_until(scheduler.now_ns + int(profile.chaos_s * 1e9))
        self.chaos_digest = self.trace.hexdigest()
        if chaos_only:
            return
        self.faults.heal()
        self.healed_ns = scheduler.now_ns
        self.stray = 0.0
        scheduler.run_until(self.healed_ns + self.recovery_ns + int(CALM_S * 1e9))
        self.calm = True
        drain_s = 2 * profile.hold_ttl_s + 2.0
        scheduler.run_until(scheduler.now_ns + int(drain_s * 1e9))
        self.go(self._probe())
        # The hold of the probe expires, and watchers have their time to hear of it.
        scheduler.run_until(scheduler.now_ns + int((profile.hold_ttl_s + WATCHERS_S) * 1e9))
        for watcher in watchers:
            if not watcher.is_up_to_date():
                seq = self.durable_seq(watcher.showtime_id)
                self.violate(f"{watcher.name} is at {watcher.seq}, the journal at {seq}")
        self.over = True

    @property
    def recovery_ns(self) -> int:
        """By this time after healing everything must be as if nothing had happened.

        A statement without answer is given up after its timeout; then a takeover may pause for the
        longest backoff and wait a lease out. A cluster also has to find out who is there.
        """
        profile, settings = self.profile, self.profile.settings
        recovery_ms = settings.command_deadline_ms + settings.lease_ms + 2500
        if profile.clustered:
            recovery_ms += int(3000 * profile.heartbeat_s) + 2000
        return recovery_ms * 1_000_000

    def go(self, work: Any) -> None:
        """Do some work beside all other."""
        self.loop.post(self._begin, work)

    def _begin(self, work: Any) -> None:
        self._tasks.append(self.loop.create_task(work))

    async def _probe(self) -> None:
        """Every showtime must take a hold again."""
        for showtime_id in self.showtimes:
            message = HoldSeats(
                command_id=self.ids.randbytes(16),
                hold_id=self.ids.randbytes(16),
                customer=self.ids.randbytes(16),
                labels=[self.plans[0].labels[0]],
            )
            node = self.names[0]
            if not self.profile.clustered:
                node = self.views.owner("w1", showtime_id)
            outcome = await self.ask(showtime_id, message, node)
            if outcome is None or isinstance(outcome, Unavailable):
                self.violate(f"{showtime_id.hex()[-4:]} does not serve on {node}: {outcome}")

    def bury(self) -> None:
        """Let go of everything."""
        for node in self.nodes.values():
            for process in (*node.ended_processes, node.process):
                if process is not None:
                    process.loop.bury()
        self.loop.bury()


def _rng(seed: int, name: str) -> random.Random:
    """Randomness for one concern, so that one more draw here moves nothing there."""
    return random.Random(f"{seed} {name}")
