"""Rounds of faults under load; after each round the books are checked."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from benchmarks.house import House, Screen
from tests.chaos.account import (
    ChaosHistory,
    SlotAccount,
    SlotTimes,
    Step,
    account_of,
    steps_of,
)
from tests.chaos.doors import VISITORS, Doors, Foyer
from tests.chaos.faults import Slot, carry_out, schedule
from tests.chaos.paying import SHOWTIMES as SHOWTIMES_PAID
from tests.chaos.paying import Payers
from tests.chaos.post import Post
from tests.chaos.rig import DECLARED_DEAD, Rig, rigged
from tests.support.history import check
from tests.support.load import Showtime, http_session
from tests.support.mail_server import HOST
from tests.support.stage import Stage

SHOWTIMES = 24
ROWS, COLUMNS = 10, 20
PAUSE_S = 1.5
"""What a client waits between two things it does, on average."""

SOCKETS = 12
CLIENTS_A_SOCKET = 3
START_FAILED = 1
"""Exit code of a node that cannot start, as without Postgres; its supervisor tries again."""

WARM_UP_S = 2.0
"""Until all sockets are connected and all showtimes in memory."""

LOOKS = 2000
"""Holds and bookings that are read once more after a round; the journal is checked for all."""

CALM_S = 2.0
"""How long all is left alone after a fault has healed."""

RULES: dict[str, Any] = {
    # Some holds expire in the middle of it.
    "hold_ttl_s": 20,
    "hold_max_s": 60,
    "live_holds_per_customer": 8,
}


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How much chaos."""

    seed: int
    clients: int = 500
    seconds: float = 0.0
    rounds: int = 1
    only: tuple[str, ...] = ()


class Outcome(msgspec.Struct, kw_only=True):
    """What came of it all; `wrong` is empty when all is well."""

    seed: int
    clients: int
    slots: list[SlotAccount] = []
    steps: list[Step] = []
    requests: int = 0
    acknowledged: int = 0
    events: int = 0
    frames: int = 0
    scans: int = 0
    let_in: int = 0
    mails: int = 0
    mails_again: int = 0
    zombies: int = 0
    payments: dict[str, int] = {}
    ends: dict[str, int] = {}
    surprises: dict[str, int] = {}
    wrong: list[str] = []


class Chaos:
    """One cluster and all rounds on it."""

    def __init__(
        self, options: Options, rig: Rig, post: Post, folder: Path, say: Callable[[str], None]
    ) -> None:
        self.outcome = Outcome(seed=options.seed, clients=options.clients)
        self._options = options
        self._rig = rig
        self._post = post
        self._folder = folder
        self._say = say
        self._start_ns = 0
        self._house: House
        self._screen: Screen
        self._foyer: Foyer

    async def run(self) -> None:
        """All rounds; ends early at the first one that finds something."""
        self._house = await House.open(self._rig, VISITORS)
        self._screen = await self._house.screen("Screen", ROWS, COLUMNS)
        async with self._database() as database:
            self._foyer = await Foyer.build(self._house, database)
        began_s = time.monotonic()
        self._start_ns = time.monotonic_ns()
        for number, slots in self._rounds(began_s):
            await self._round(number, slots)
            if self.outcome.wrong:
                break
        self._note_ends()

    def _rounds(self, began_s: float) -> Iterator[tuple[int, list[Slot]]]:
        for number, slots in enumerate(schedule(self._options.seed, self._options.only), 1):
            enough = time.monotonic() - began_s >= self._options.seconds
            if number > self._options.rounds and enough:
                return
            yield number, slots

    async def _round(self, number: int, slots: list[Slot]) -> None:
        ids = await self._house.showtimes(self._screen, SHOWTIMES, RULES)
        paid = await self._house.showtimes(self._screen, SHOWTIMES_PAID, RULES)
        labels = tuple(self._screen.labels)
        sockets = min(SOCKETS, self._options.clients // (2 * CLIENTS_A_SOCKET))
        history = ChaosHistory()
        async with http_session() as session:
            stage = Stage(
                session,
                self._rig.servers,
                self._options.seed * 1000 + number,
                people=self._options.clients + 1,
                history=history,
            )
            stage.showtimes = [Showtime(one, labels) for one in ids]
            await stage.enrol()
            doors = await self._foyer.doors(session, self._rig.servers, RULES, number)
            http = self._options.clients - sockets * CLIENTS_A_SOCKET
            payers = Payers(
                *(self._rig.stripe, [server.url for server in self._rig.servers]),
                *(paid, labels, session, self._options.seed * 1000 + number),
            )
            async with (
                payers.paying(self._rig.dsn),
                stage.load(http, sockets, PAUSE_S),
                doors.open(),
                self._post.moody(),
            ):
                await asyncio.sleep(WARM_UP_S)
                times = [await self._slot(number, slot) for slot in slots]
                for earlier, later in itertools.pairwise(times):
                    earlier.ended_ns = later.began_ns
                times[-1].ended_ns = time.monotonic_ns()
            self._say(f"round {number}: {len(history.attempts):,} requests; checking")
            await self._verify(stage, doors)
            self.outcome.wrong += await payers.check(self._rig.dsn)
            for what, many in payers.told.items():
                self.outcome.payments[what] = self.outcome.payments.get(what, 0) + many
        self._note(history, times, ids)

    async def _slot(self, number: int, slot: Slot) -> SlotTimes:
        self._say(f"round {number}: {slot}")
        times = SlotTimes(slot)
        self.outcome.wrong += await carry_out(self._rig, slot)
        times.over_ns = time.monotonic_ns()
        try:
            await self._rig.healed()
        except TimeoutError:
            self.outcome.wrong.append(f"not healed after {slot}")
        times.healed_ns = time.monotonic_ns()
        await asyncio.sleep(CALM_S)
        return times

    async def _verify(self, stage: Stage, doors: Doors) -> None:
        wrong = self.outcome.wrong
        try:
            await stage.settle()
        except TimeoutError:
            wrong.append(f"never settled: {stage.history.unsettled()[:5]}")
        try:
            await stage.look_at_everything(most=LOOKS)
        except AssertionError as error:
            wrong.append(str(error))
        ledgers = await stage.ledgers(self._rig.dsn)
        self.outcome.events += sum(len(ledger.entries) for ledger in ledgers)
        wrong += await asyncio.to_thread(check, stage.history, ledgers)
        async with self._database() as database:
            wrong += await doors.check(database)
            wrong += await self._post.check(database)
        self.outcome.scans += len(doors.scans)
        self.outcome.let_in += doors.admitted
        if wrong:
            write_history(stage, self._folder / "history.jsonl")

    @asynccontextmanager
    async def _database(self) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        database = await asyncpg.connect(self._rig.dsn)
        try:
            yield database
        finally:
            await database.close()

    def _note(self, history: ChaosHistory, times: list[SlotTimes], showtimes: list[str]) -> None:
        outcome = self.outcome
        last_ns = times[-1].ended_ns
        for one in times:
            outcome.slots.append(account_of(history, one, showtimes, self._start_ns))
        last_s = (last_ns - self._start_ns) / 1e9
        outcome.steps += [step for step in steps_of(history, self._start_ns) if step.at_s < last_s]
        outcome.requests += len(history.attempts)
        outcome.acknowledged += history.acknowledged
        outcome.frames += len(history.frames)
        outcome.mails, outcome.mails_again = len(self._post.times), self._post.again

    def _note_ends(self) -> None:
        outcome = self.outcome
        for end in self._rig.ends:
            name = f"exit code {end.code}"
            outcome.ends[name] = outcome.ends.get(name, 0) + 1
            if end.code == DECLARED_DEAD:
                outcome.zombies += 1
            elif not end.meant and (end.had_started or end.code != START_FAILED):
                outcome.wrong.append(f"node {end.node + 1} ended by itself with {end.code}")
        for server in self._rig.servers:
            for surprise in surprises(server.log()):
                outcome.surprises[surprise] = outcome.surprises.get(surprise, 0) + 1


class _LogLine(msgspec.Struct):
    event: str = ""
    exception: str = ""


def surprises(log: str) -> Iterator[str]:
    """Exceptions in a log, by event and kind; that Postgres refuses connections is none."""
    for line in log.splitlines():
        if "Traceback" not in line:
            continue
        if not line.startswith("{"):
            yield f"outside of the log: {line}"
            continue
        logged = msgspec.json.decode(line, type=_LogLine)
        kind = logged.exception.strip().rpartition("\n")[2][:120]
        if not kind.startswith("ConnectionRefusedError"):
            yield f"{logged.event}: {kind}"


def write_history(stage: Stage, path: Path) -> None:
    """All that clients asked and were told, one line each."""
    encode = msgspec.json.Encoder(enc_hook=repr).encode
    with path.open("wb") as file:
        for attempt in stage.history.attempts:
            asked = attempt.request
            line = {
                "kind": asked.kind,
                "showtime": asked.showtime_id,
                "customer": asked.customer.hex(),
                "key": asked.key,
                "command": asked.command_id.hex(),
                "seats": asked.seats,
                "target": asked.target_id,
                "sent_ns": attempt.sent_ns,
                "answered_ns": attempt.answered_ns,
                "code": attempt.code,
                "details": attempt.details,
                "data": attempt.data,
            }
            file.write(encode(line) + b"\n")
        for frame in stage.history.frames:
            file.write(encode(frame) + b"\n")


async def cause_chaos(options: Options, folder: Path, say: Callable[[str], None]) -> Outcome:
    """A cluster of its own in `folder`, the rounds, and what came of them."""
    say(f"seed {options.seed}: starting")
    post = Post(options.seed)
    async with AsyncExitStack() as stack:
        await post.start()
        stack.push_async_callback(post.stop)
        address = f"smtp://{HOST}:{post.port}"
        rig = await stack.enter_async_context(rigged(folder, options.seed, SMTP_URL=address))
        chaos = Chaos(options, rig, post, folder, say)
        await chaos.run()
        chaos.outcome.wrong += await rig.stop()
        return chaos.outcome
