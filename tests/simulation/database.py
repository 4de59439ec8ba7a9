"""One simulated Postgres: every statement of every node takes its way there and back.

A statement travels, has its effect in one step, and its answer travels back. Whatever can go wrong
does so on the way: the connection is lost before or after the effect, the statement arrives long
after its sender has given up, the server is away or restarts, a deadlock rolls it back.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import msgspec

from cinema.storage.journal.store import CommitAborted, CommitUnknown, StoreUnavailable
from tests.simulation.machine import START_US
from tests.simulation.scheduler import Scheduler
from tests.simulation.trace import Trace
from tests.support.actors.scripted_store import RecordingJournal

if TYPE_CHECKING:
    from tests.simulation.scheduler import SimulatedLoop

Stage = Literal["sent", "applied", "answered"]
Way = Literal["open", "refused", "swallowed"]

_MS: Final = 1_000_000
_DEADLOCK: Final = "40P01"
_NOT_CONNECTED: Final = "08001"
RECONNECT_MS: Final = 3
_LONGEST_NS: Final = 3_000_000_000
"""Nothing is under way for longer than this."""


class Sender(Protocol):
    """The process whose statement it is."""

    name: str
    loop: SimulatedLoop


class Fates(msgspec.Struct):
    """How likely a statement is to meet each misfortune, just now."""

    lost_before: float = 0.0
    lost_after: float = 0.0
    late: float = 0.0
    deadlock: float = 0.0
    answered_late: float = 0.0

    def draw(self, rng: random.Random) -> str:
        """What becomes of one statement."""
        chance = rng.random()
        for fate in self.__struct_fields__:
            chance -= getattr(self, fate)
            if chance < 0:
                return fate
        return "answered"


class Call:
    """A statement on its way."""

    __slots__ = ("answer", "execute", "label", "name", "sender", "settled")

    def __init__(
        self,
        sender: Sender,
        name: str,
        label: str,
        execute: Callable[[], Any],
        answer: asyncio.Future[Any],
    ) -> None:
        self.sender = sender
        self.name = name
        self.label = label
        self.execute = execute
        self.answer = answer
        self.settled = False


class Database:
    """The server and the network before it.

    `keepers` has a showtime, an epoch and that of the head for each snapshot written beside the
    commits.
    """

    def __init__(
        self,
        journal: RecordingJournal,
        scheduler: Scheduler,
        trace: Trace,
        rng: random.Random,
        *,
        timeout_ns: int,
        latency_ms: float,
    ) -> None:
        self.journal = journal
        self.fates = Fates()
        self.ways: dict[str, Way] = {}
        self.delays: dict[tuple[str, str], tuple[str, int]] = {}
        self.keepers: list[tuple[bytes, int, int]] = []
        self.slowness = 1.0
        self.down = False
        self.on_stage: Callable[[Sender, str, Stage], None] = _nothing_happens
        self._scheduler = scheduler
        self._trace = trace
        self._rng = rng
        self._timeout_ns = timeout_ns
        self._latency_ns = latency_ms * _MS
        self._in_flight: dict[Call, None] = {}

    def true_us(self) -> int:
        """What the server's clock says."""
        return START_US + self._scheduler.now_ns // 1000

    def restart(self) -> None:
        """Every connection is lost; what has not had its effect by now never will."""
        for call in list(self._in_flight):
            del self._in_flight[call]
            self._travel(self._fail, call, "server closed the connection")

    async def run(self, sender: Sender, name: str, label: str, execute: Callable[[], Any]) -> Any:
        """One statement: its result, or one of the journal's three errors."""
        loop = sender.loop
        answer = loop.create_future()
        call = Call(sender, name, label, execute, answer)
        self._trace.add(f"{sender.name} > {name} {label}")
        way = self.ways.get(sender.name, "open")
        if self.down or way == "refused":
            await asyncio.sleep(RECONNECT_MS / 1000)
            self._trace.add(f"{sender.name} ! {name}: not connected")
            raise _not_connected(name)
        self._send(call, way)
        loop.call_later(self._timeout_ns / 1e9, self._give_up, call)
        self.on_stage(sender, name, "sent")
        return await answer

    # --- the way there and back

    def _send(self, call: Call, way: Way) -> None:
        fate = self.fates.draw(self._rng)
        if way == "swallowed":
            # Packets into a hole: some statement may still arrive when it opens again.
            if self._rng.random() < 0.5:
                self._scheduler.after(self._long_ns(), self._arrive_late, call)
            return
        delay = self.delays.pop((call.sender.name, call.name), None)
        if delay is not None:
            self._delay(call, *delay)
            return
        match fate:
            case "lost_before":
                self._travel(self._fail, call, "connection lost")
            case "deadlock" if call.name == "append":
                self._travel(self._abort, call)
            case "late":
                self._travel(self._fail, call, "connection lost")
                self._scheduler.after(self._long_ns(), self._arrive_late, call)
            case _:
                self._in_flight[call] = None
                self._travel(self._arrive, call, fate)

    def _delay(self, call: Call, where: str, delay_ns: int) -> None:
        """The packets of one statement, or of its answer, are sent again and again, or in vain."""
        self._trace.add(f"{call.sender.name} : {call.name} is late {where}")
        if where == "in vain":
            self._scheduler.after(delay_ns, self._fail, call, "connection lost")
            if self._rng.random() < 0.5:
                self._travel(self._arrive_late, call)
            return
        self._in_flight[call] = None
        if where == "there":
            self._scheduler.after(delay_ns, self._arrive, call, "answered")
        else:
            self._travel(self._arrive, call, delay_ns)

    def _arrive(self, call: Call, fate: str | int) -> None:
        if call not in self._in_flight:
            return
        del self._in_flight[call]
        result = self._apply(call)
        swallowed = self.ways.get(call.sender.name) == "swallowed"
        if fate == "lost_after":
            self._travel(self._fail, call, "connection lost")
        elif isinstance(fate, int):
            self._scheduler.after(fate, self._answer, call, result)
        elif fate == "answered_late":
            late_ns = int(self._rng.uniform(0.1, 0.9) * self._timeout_ns)
            self._scheduler.after(late_ns, self._answer, call, result)
        elif not swallowed:
            self._travel(self._answer, call, result)

    def _arrive_late(self, call: Call) -> None:
        """Nobody waits for it any more; it has its effect all the same."""
        if not self.down:
            self._apply(call)

    def _apply(self, call: Call) -> Any:
        try:
            result = call.execute()
        except CommitAborted as aborted:
            result = aborted
        self._trace.add(f"{call.sender.name} = {call.name} {call.label} -> {_told(result)}")
        if not call.settled:
            self.on_stage(call.sender, call.name, "applied")
        return result

    def _travel(self, action: Callable[..., None], *arguments: Any) -> None:
        lag_ns = self._latency_ns * self.slowness * self._rng.expovariate(1.0)
        self._scheduler.after(min(int(lag_ns), _LONGEST_NS) + 20_000, action, *arguments)

    def _long_ns(self) -> int:
        return int(self._rng.uniform(50_000_000, _LONGEST_NS))

    # --- what the sender hears

    def _answer(self, call: Call, result: Any) -> None:
        call.sender.loop.post(self._settle, call, result)

    def _fail(self, call: Call, reason: str) -> None:
        call.sender.loop.post(self._settle, call, _lost(call.name, reason))

    def _abort(self, call: Call) -> None:
        call.sender.loop.post(self._settle, call, CommitAborted(_DEADLOCK))

    def _give_up(self, call: Call) -> None:
        self._settle(call, _lost(call.name, "timeout"))

    def _settle(self, call: Call, result: Any) -> None:
        if call.settled or call.answer.done():
            return
        call.settled = True
        self._trace.add(f"{call.sender.name} < {call.name} {_told(result)}")
        self.on_stage(call.sender, call.name, "answered")
        if isinstance(result, Exception):
            call.answer.set_exception(result)
        else:
            call.answer.set_result(result)


def _nothing_happens(_sender: Sender, _name: str, _stage: Stage) -> None:
    """Until somebody arms a fault."""


def _not_connected(name: str) -> Exception:
    if name == "append":
        return CommitAborted(_NOT_CONNECTED)
    return ConnectionError("refused") if name == "time" else StoreUnavailable("refused")


def _lost(name: str, reason: str) -> Exception:
    if name == "append":
        return CommitUnknown(reason)
    return ConnectionError(reason) if name == "time" else StoreUnavailable(reason)


def _told(result: Any) -> str:
    match result:
        case Exception():
            return f"{type(result).__name__} {result}"
        case set():
            return "matched " + ",".join(sorted(one.hex()[-4:] for one in result))
        case bool():
            return "yes" if result else "no"
        case _ if hasattr(result, "version"):
            return f"version {result.version}"
        case _ if hasattr(result, "epoch"):
            released = getattr(result, "was_released", "")
            return f"{result.epoch}:{getattr(result, 'seq', '')}{'released' if released else ''}"
        case dict():
            return " ".join(f"{one.hex()[-4:]}@{epoch}" for one, epoch in result.items())
        case list() | tuple():
            return f"{len(result)} rows"
        case _:
            return "" if result is None else type(result).__name__
