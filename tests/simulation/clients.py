"""Customers: they hold, wait, extend, release, book, pay, change seats, cancel and look.

They repeat what they must.

Now and then one of them does what staff do: block seats, pause sales, move to another seat plan,
sell by other terms, move to another screen, cancel the showtime.
Readers only look.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from cinema.actors.messages import Accepted, HoldSeen, Message, Outcome, ReadHold, ReadSeats
from cinema.domain.rejections import Rejection
from cinema.domain.showtime.commands import (
    BlockSeats,
    BookHold,
    CancelBooking,
    CancelShowtime,
    ChangeLayout,
    ChangePlan,
    ChangeSeats,
    ChangeTerms,
    ExtendHold,
    HoldBestAvailable,
    HoldSeats,
    JoinWaitlist,
    LeaveWaitlist,
    PauseSales,
    ReleaseHold,
    ResumeSales,
    UnblockSeats,
)
from cinema.domain.showtime.events import (
    BookingCancelled,
    HoldBooked,
    HoldReleased,
    PaymentStarted,
    SeatsChanged,
    SeatsHeld,
    WaitlistJoined,
)
from tests.simulation.exchanging import Exchanger
from tests.simulation.paying import Payer
from tests.simulation.profile import chosen
from tests.simulation.terms import conditions, rules_of

if TYPE_CHECKING:
    from tests.simulation.world import World

REPETITIONS = 4
DOUBLE_CLICKS = 0.1
OTHER_REQUEST = 0.02
LOOKS_FIRST = 0.7
TOGETHER = 0.5
MEMORY = 6
PAUSE_S = 0.3
"""What staff take off sale is back on sale after this time at most, if nothing goes wrong."""

READING_GAP_S = 0.03
READING_S = (0.2, 1.5)
"""How long a reader asks the same node."""

Make = Callable[[bytes, bytes], Message]
"""A message for a command id and a fingerprint; ids that the server draws are new each time."""

PAYS_THE_DIFFERENCE = 0.7
DIFFERENCES_MINOR: Final = (-500, -50, 0, 0, 50, 500)
"""What other seats cost more or less; whoever changes them says so, and the showtime goes by it."""

_ABOUT_BOOKINGS: Final = frozenset({"cancel", "cancel_part", "change_seats"})


class Owned:
    """A hold or booking of a customer: its id, and its seats when it was made or last changed."""

    __slots__ = ("labels", "prices", "showtime_id", "target")

    def __init__(
        self, showtime_id: bytes, target: bytes, labels: list[str], prices: Sequence[int]
    ) -> None:
        self.showtime_id = showtime_id
        self.target = target
        self.labels = labels
        self.prices = tuple(prices)


class Client:
    """One customer and what they remember of their holds and bookings."""

    def __init__(self, world: World, name: str, rng: random.Random) -> None:
        self.name = name
        self._world = world
        self._rng = rng
        self._customer = rng.randbytes(16)
        self._holds: list[Owned] = []
        self._bookings: list[Owned] = []
        self._entries: list[tuple[bytes, bytes]] = []
        self._payer = Payer(world, random.Random(f"{world.seed} payer {name}"), self._send)
        exchanges = random.Random(f"{world.seed} exchanger {name}")
        self._exchanger = Exchanger(world, exchanges, self._send)

    async def run(self) -> None:
        """Act until the run is calm."""
        world, rng = self._world, self._rng
        while not world.calm:
            await asyncio.sleep(rng.expovariate(1 / world.profile.think_s))
            await self._act(chosen(rng, world.profile.operations))

    async def _act(self, operation: str) -> None:
        """One wish, and what staff do about it afterwards."""
        if operation == "exchange":
            await self._exchange()
            return
        if operation == "see_offer":
            await self._look_for_an_offer()
            return
        showtime_id, make = self._wish(operation)
        if make is None:
            return
        if operation in {"seats", "see_hold"}:
            await self._send(showtime_id, make(b"", b""))
            return
        await self._ask(showtime_id, make)
        undo = self._undoing(operation, make)
        if undo is not None:
            await asyncio.sleep(self._rng.uniform(0.0, PAUSE_S))
            await self._ask(showtime_id, undo)

    async def _look_for_an_offer(self) -> None:
        """Whether seats were offered: from then on they are those of any hold."""
        if not self._entries:
            return
        showtime_id, entry_id = self._rng.choice(self._entries)
        seen = await self._send(showtime_id, ReadHold(hold_id=entry_id, customer=self._customer))
        if not isinstance(seen, HoldSeen):
            return
        self._entries.remove((showtime_id, entry_id))
        if seen.status == "active":
            labels, group = seen.terms.plan.labels, seen.group
            offered = [labels[seat] for seat in group.seats]
            self._holds = [
                *self._holds[-MEMORY:],
                Owned(showtime_id, entry_id, offered, group.prices),
            ]

    async def _exchange(self) -> None:
        """A booking for seats of another showtime, which are held first."""
        if not self._bookings:
            return
        old = self._rng.choice(self._bookings)
        others = [one for one in self._world.showtimes if one != old.showtime_id]
        showtime_id = self._rng.choice(others)
        make = self._hold(showtime_id)
        held = await self._send(showtime_id, make(self._rng.randbytes(16), b""))
        if not isinstance(held, Accepted) or not isinstance(held.event, SeatsHeld):
            return
        seen = dict(zip(old.labels, old.prices, strict=True))
        await self._exchanger.exchange(
            (old.showtime_id, old.target, seen), (showtime_id, held.event.hold_id), self._customer
        )

    async def _ask(self, showtime_id: bytes, make: Make) -> None:
        """A command, repeated with its key until something is known."""
        rng = self._rng
        keyed = rng.random() < self._world.profile.keyed
        if not keyed:
            await self._send(showtime_id, make(rng.randbytes(16), b""))
            return
        key, fingerprint = rng.randbytes(16), rng.randbytes(8)
        if rng.random() < DOUBLE_CLICKS:
            await asyncio.gather(
                *[self._send(showtime_id, make(key, fingerprint)) for _ in range(2)]
            )
        for _ in range(REPETITIONS):
            if rng.random() < OTHER_REQUEST:
                fingerprint = rng.randbytes(8)
            outcome = await self._send(showtime_id, make(key, fingerprint))
            if isinstance(outcome, Accepted | Rejection) or self._world.calm:
                return
            await asyncio.sleep(rng.uniform(0.0, 0.3))

    async def _send(self, showtime_id: bytes, message: Message) -> Outcome | None:
        world = self._world
        if world.profile.clustered or self._rng.random() < world.stray:
            node = self._rng.choice(world.names)
        else:
            node = world.views.owner(self.name, showtime_id)
        outcome = await world.ask(showtime_id, message, node)
        if isinstance(outcome, Accepted):
            self._remember(showtime_id, outcome)
        return outcome

    def _remember(self, showtime_id: bytes, outcome: Accepted) -> None:
        labels = outcome.terms.plan.labels
        match outcome.event:
            case SeatsHeld(hold_id=hold_id, seats=seats, prices=prices):
                made = Owned(showtime_id, hold_id, [labels[seat] for seat in seats], prices)
                self._holds = [*self._holds[-MEMORY:], made]
            case WaitlistJoined(entry_id=entry_id) if (showtime_id, entry_id) not in self._entries:
                self._entries = [*self._entries[-MEMORY:], (showtime_id, entry_id)]
            case HoldReleased(hold_id=hold_id, seats=()):
                self._forget_hold(hold_id)
            case HoldBooked(hold_id=hold_id, booking_id=booking_id, seats=seats, prices=prices):
                self._forget_hold(hold_id)
                made = Owned(showtime_id, booking_id, [labels[seat] for seat in seats], prices)
                self._bookings = [*self._bookings[-MEMORY:], made]
            case SeatsChanged(booking_id=booking_id, seats=seats, prices=prices):
                made = Owned(showtime_id, booking_id, [labels[seat] for seat in seats], prices)
                others = [one for one in self._bookings if one.target != booking_id]
                self._bookings = [*others[-MEMORY:], made]
            case PaymentStarted(payment_method="exchange"):
                pass
            case PaymentStarted():
                self._world.go(self._payer.see_through(showtime_id, outcome.event))
            case BookingCancelled(booking_id=booking_id, seats=()):
                self._bookings = [one for one in self._bookings if one.target != booking_id]
            case _:
                pass

    def _forget_hold(self, hold_id: bytes) -> None:
        self._holds = [one for one in self._holds if one.target != hold_id]

    # --- wishes

    def _wish(self, operation: str) -> tuple[bytes, Make | None]:
        """What to ask for, of which showtime; nothing if there is nothing to ask about."""
        rng, customer = self._rng, self._customer
        showtime_id = rng.choice(self._world.showtimes)
        match operation:
            case "seats":
                return showtime_id, lambda _id, _mark: ReadSeats(customer=customer)
            case "hold":
                return showtime_id, self._hold(showtime_id)
            case "hold_best":
                return showtime_id, self._hold_best()
            case "join_waitlist" | "leave_waitlist":
                joins = operation == "join_waitlist"
                return showtime_id, self._join() if joins else self._leave
            case "block":
                return showtime_id, self._block(showtime_id)
            case "pause":
                return showtime_id, _pause
            case "change_plan":
                return showtime_id, self._change_plan(showtime_id)
            case "change_terms":
                return showtime_id, self._change_terms(showtime_id)
            case "move_showtime":
                return showtime_id, self._move_showtime(showtime_id)
            case "cancel_showtime":
                return showtime_id, self._cancel_showtime(showtime_id)
            case _:
                known = self._bookings if operation in _ABOUT_BOOKINGS else self._holds
                if not known:
                    return b"", None
                owned = rng.choice(known)
                return owned.showtime_id, self._about(operation, owned)

    def _undoing(self, operation: str, make: Make) -> Make | None:
        """What puts back on sale what was taken off."""
        if operation == "pause":
            return _resume
        if operation != "block":
            return None
        blocked = make(b"", b"")
        assert isinstance(blocked, BlockSeats)

        def unblock(command_id: bytes, fingerprint: bytes) -> Message:
            return UnblockSeats(
                command_id=command_id, fingerprint=fingerprint, labels=blocked.labels
            )

        return unblock

    def _hold(self, showtime_id: bytes) -> Make:
        wanted = self._neighbours(showtime_id, self._rng.choice((1, 1, 2, 3)))

        def make(command_id: bytes, fingerprint: bytes) -> Message:
            return HoldSeats(
                command_id=command_id,
                fingerprint=fingerprint,
                hold_id=self._rng.randbytes(16),
                customer=self._customer,
                labels=wanted,
            )

        return make

    def _hold_best(self) -> Make:
        quantity = self._rng.choice((1, 2, 3))

        def make(command_id: bytes, fingerprint: bytes) -> Message:
            return HoldBestAvailable(
                command_id=command_id,
                fingerprint=fingerprint,
                hold_id=self._rng.randbytes(16),
                customer=self._customer,
                quantity=quantity,
            )

        return make

    def _join(self) -> Make:
        quantity, together = self._rng.choice((1, 1, 2, 3)), self._rng.random() < TOGETHER

        def make(command_id: bytes, fingerprint: bytes) -> Message:
            return JoinWaitlist(
                command_id=command_id,
                fingerprint=fingerprint,
                entry_id=self._rng.randbytes(16),
                customer=self._customer,
                quantity=quantity,
                together=together,
            )

        return make

    def _leave(self, command_id: bytes, fingerprint: bytes) -> Message:
        return LeaveWaitlist(
            command_id=command_id, fingerprint=fingerprint, customer=self._customer
        )

    def _block(self, showtime_id: bytes) -> Make:
        wanted = self._neighbours(showtime_id, self._rng.choice((1, 2)))

        def make(command_id: bytes, fingerprint: bytes) -> Message:
            return BlockSeats(command_id=command_id, fingerprint=fingerprint, labels=wanted)

        return make

    def _change_plan(self, showtime_id: bytes) -> Make | None:
        """On to the next version, as long as there is one; in a cluster its owner looks it up."""
        world = self._world
        before = world.terms[showtime_id]
        version = before.plan.version
        if version == len(world.plans):
            return None
        plan = world.plans[version]

        def make(command_id: bytes, fingerprint: bytes) -> Message:
            if world.profile.clustered:
                return ChangeLayout(
                    command_id=command_id,
                    fingerprint=fingerprint,
                    seen=(before.version,),
                    layout_version=plan.version,
                )
            return ChangePlan(command_id=command_id, fingerprint=fingerprint, plan=plan)

        return make

    def _change_terms(self, showtime_id: bytes) -> Make:
        """Another price and another start for whoever comes later."""
        rng, before = self._rng, self._world.terms[showtime_id]
        moved_us = rng.choice((0, 60, 3600)) * 1_000_000
        wanted = msgspec.structs.replace(
            conditions(before),
            base_price_minor=rng.randint(100, 9999),
            starts_at_us=before.starts_at_us + moved_us,
            movie_id=rng.choice((before.movie_id, before.movie_id, rng.randbytes(16))),
        )

        def make(command_id: bytes, fingerprint: bytes) -> Message:
            return ChangeTerms(
                command_id=command_id,
                fingerprint=fingerprint,
                seen=(before.version,),
                conditions=wanted,
                rules=rules_of(before),
            )

        return make

    def _move_showtime(self, showtime_id: bytes) -> Make | None:
        """To another screen, which may be taken; its layout is the next version."""
        rng, world = self._rng, self._world
        before = world.terms[showtime_id]
        version = before.plan.version
        if version == len(world.plans):
            return None
        others = [one for one in world.screens if one != before.screen_id]
        free = [one for one in others if world.who_is_on(one) is None]
        # As the service looks first, and may be too early.
        known = rng.random() < LOOKS_FIRST
        wanted = msgspec.structs.replace(
            conditions(before),
            screen_id=rng.choice(free if known and free else others),
            starts_at_us=before.starts_at_us + rng.choice((0, 3600)) * 1_000_000,
            base_price_minor=rng.randint(100, 9999),
        )
        job_id = rng.randbytes(16)

        def make(command_id: bytes, fingerprint: bytes) -> Message:
            return ChangeTerms(
                command_id=command_id,
                fingerprint=fingerprint,
                seen=(before.version,),
                conditions=wanted,
                rules=rules_of(before),
                layout_version=version + 1,
                job_id=job_id,
            )

        return make

    def _cancel_showtime(self, showtime_id: bytes) -> Make:
        seen, job_id = self._world.terms[showtime_id].version, self._rng.randbytes(16)

        def make(command_id: bytes, fingerprint: bytes) -> Message:
            return CancelShowtime(
                command_id=command_id,
                fingerprint=fingerprint,
                seen=(seen,),
                reason="no heating",
                job_id=job_id,
            )

        return make

    def _neighbours(self, showtime_id: bytes, count: int) -> list[str]:
        """Seats in a row of today's plan."""
        labels = self._world.terms[showtime_id].plan.labels
        count = min(count, len(labels))
        first = self._rng.randrange(len(labels) - count + 1)
        return list(labels[first : first + count])

    def _change_seats(self, owned: Owned) -> Make:
        """Any seats of the plan for some of one's own: free ones, own ones, and those of others."""
        rng, terms = self._rng, self._world.terms[owned.showtime_id]
        paid = dict(zip(owned.labels, owned.prices, strict=True))
        held = [one.labels for one in self._holds if one.showtime_id == owned.showtime_id]
        wanted = sorted({*terms.plan.labels, *(label for labels in held for label in labels)})
        count = rng.randint(1, min(len(owned.labels), len(wanted)))
        left, chosen_seats = rng.sample(owned.labels, count), rng.sample(wanted, count)
        prices = tuple([max(0, paid[label] + rng.choice(DIFFERENCES_MINOR)) for label in left])
        method = "demo" if rng.random() < PAYS_THE_DIFFERENCE else ""

        def make(command_id: bytes, fingerprint: bytes) -> Message:
            return ChangeSeats(
                command_id=command_id,
                fingerprint=fingerprint,
                booking_id=owned.target,
                customer=self._customer,
                left=left,
                chosen=chosen_seats,
                layout_version=terms.plan.version,
                seen=tuple(paid.items()),
                prices=prices,
                payment_id=self._rng.randbytes(16),
                payment_method=method,
            )

        return make

    def _about(self, operation: str, owned: Owned) -> Make:
        rng, customer, target = self._rng, self._customer, owned.target
        if operation == "pay":
            return self._payer.starting(target, customer)
        if operation == "change_seats":
            return self._change_seats(owned)
        some: list[str] | None = None
        if operation in {"release_part", "cancel_part"}:
            some = rng.sample(owned.labels, rng.randint(1, len(owned.labels)))

        def make(command_id: bytes, fingerprint: bytes) -> Message:
            match operation:
                case "extend":
                    return ExtendHold(
                        command_id=command_id,
                        fingerprint=fingerprint,
                        hold_id=target,
                        customer=customer,
                    )
                case "release" | "release_part":
                    return ReleaseHold(
                        command_id=command_id,
                        fingerprint=fingerprint,
                        hold_id=target,
                        customer=customer,
                        labels=some,
                    )
                case "cancel" | "cancel_part":
                    return CancelBooking(
                        command_id=command_id,
                        fingerprint=fingerprint,
                        booking_id=target,
                        customer=customer,
                        labels=some,
                    )
                case "see_hold":
                    return ReadHold(hold_id=target, customer=customer)
                case _:
                    booking_id = rng.randbytes(16)
                    return BookHold(
                        command_id=command_id,
                        fingerprint=fingerprint,
                        hold_id=target,
                        customer=customer,
                        booking_id=booking_id,
                        code=booking_id.hex()[:12],
                        payment_id=rng.randbytes(16),
                        payment_method="demo",
                    )

        return make


def _pause(command_id: bytes, fingerprint: bytes) -> Message:
    return PauseSales(command_id=command_id, fingerprint=fingerprint)


def _resume(command_id: bytes, fingerprint: bytes) -> Message:
    return ResumeSales(command_id=command_id, fingerprint=fingerprint)


class Reader:
    """Somebody who looks at a seat map again and again, at one node for a while.

    It goes by no view: as a balancer does that has not heard of the last change, or a browser that
    keeps its connection. Once all is well it finds its way.
    """

    def __init__(self, world: World, name: str, rng: random.Random) -> None:
        self.name = name
        self._world = world
        self._rng = rng

    async def run(self) -> None:
        """Look until the run is calm."""
        world, rng = self._world, self._rng
        while not world.calm:
            showtime_id, node = rng.choice(world.showtimes), rng.choice(world.names)
            until_ns = world.scheduler.now_ns + int(rng.uniform(*READING_S) * 1e9)
            while world.scheduler.now_ns < until_ns and not world.calm:
                await asyncio.sleep(rng.expovariate(1 / READING_GAP_S))
                if world.healed_ns:
                    node = world.views.owner("w1", showtime_id)
                await world.ask(showtime_id, ReadSeats(), node)
