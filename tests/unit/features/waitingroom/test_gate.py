"""Who may hold: what a node knows, what it looks up for many at once, and what it does without."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from cinema.domain.principal import Principal
from cinema.domain.rejections import Rejection, refuse
from cinema.domain.times import to_us
from cinema.features.waitingroom import gate as gates_module
from cinema.features.waitingroom.gate import Gates, RoomGate
from cinema.features.waitingroom.place_store import Inside
from cinema.features.waitingroom.store import Room

NOW = datetime(2026, 6, 1, 10, tzinfo=UTC)
SHOWTIME, ROOM, CINEMA = UUID(int=1), UUID(int=2), UUID(int=3)
ADA, BOB, GUEST = UUID(int=11), UUID(int=12), UUID(int=13)

OPEN = Room(
    id=ROOM,
    showtime_id=SHOWTIME,
    movie_id=None,
    showtime_ids=(SHOWTIME,),
    cinema_id=CINEMA,
    mode="on",
    starts_at=NOW,
    shoppers=1,
    entry_seconds=60,
    shopping_seconds=600,
    places_per_address=100,
    work_bits=0,
    holds_per_second=1,
    version=1,
    seed=bytes(32),
    seed_digest=bytes(32),
    shuffled_at=NOW,
    admitted_to=0,
    numbered=0,
    waiting=0,
    shopping=0,
    admissions_per_s=0.0,
    paced_at=NOW,
)


def person(user: UUID, role: str = "customer", **more: Any) -> Principal:
    return Principal(user.bytes, role, user.bytes, 0.0, **more)


class Street:
    """A node's gates, and a database that says who is inside."""

    def __init__(self) -> None:
        self.now = NOW
        self.inside: list[Inside] = []
        self.looks: list[set[UUID]] = []
        self.failure: Exception | None = None
        self.gates = Gates(self._inside, now_us=lambda: to_us(self.now))
        self.went: list[str] = []

    async def _inside(
        self, rooms: Sequence[UUID], customers: Sequence[UUID] | None = None
    ) -> list[Inside]:
        assert customers is not None
        self.looks.append(set(customers))
        if self.failure is not None:
            raise self.failure
        return [one for one in self.inside if one.customer_id in customers]

    def ask(self, gate: RoomGate, who: Principal, name: str, **how: Any) -> None:
        def answer(outcome: Any) -> None:
            assert isinstance(outcome, Rejection)
            self.went.append(f"{name}: {outcome.code}")

        go_on = how.get("go_on", lambda: self.went.append(name))
        gate.look_again(who, go_on, answer)

    async def settle(self, count: int) -> None:
        """Run until so many have an answer."""
        running = asyncio.ensure_future(self.gates.run())
        async with asyncio.timeout(30):
            while len(self.went) < count:  # noqa: ASYNC110  (nobody tells when)
                await asyncio.sleep(0)
        running.cancel()


def test_staff_of_the_cinema_go_in_and_others_do_not() -> None:
    gate = Street().gates.put(OPEN)
    here = frozenset({CINEMA.bytes})
    assert gate.lets_in(person(ADA, "staff", cinema_ids=here))
    assert gate.lets_in(person(ADA, "manager", cinema_ids=here))
    assert gate.lets_in(person(ADA, "admin"))
    assert not gate.lets_in(person(ADA, "staff"))
    assert not gate.lets_in(person(ADA, cinema_ids=here))


def test_who_is_inside_goes_in_until_their_time_is_over_or_they_leave() -> None:
    street = Street()
    gate = street.gates.put(OPEN)
    street.gates.note_inside([Inside(ROOM, ADA, NOW + timedelta(seconds=5))])
    assert gate.lets_in(person(ADA))
    assert gate.lets_in(person(BOB, guest_ids=(ADA.bytes,)))
    assert not gate.lets_in(person(BOB))
    street.now += timedelta(seconds=5)
    assert not gate.lets_in(person(ADA))
    gate.admit(ADA.bytes, to_us(NOW) + 10**9)
    assert gate.lets_in(person(ADA))
    gate.leave(ADA.bytes)
    assert not gate.lets_in(person(ADA))


def test_an_armed_room_lets_all_in_and_counts_them() -> None:
    gate = Street().gates.put(msgspec.structs.replace(OPEN, starts_at=None, mode="by_load"))
    assert gate.lets_in(person(ADA))
    assert gate.lets_in(person(BOB))
    assert (gate.asked, gate.is_closed) == (2, False)


def test_a_new_room_knows_nobody_and_a_changed_one_knows_all() -> None:
    gates = Street().gates
    gate = gates.put(OPEN)
    gate.admit(ADA.bytes, to_us(NOW) + 1)
    changed = gates.put(msgspec.structs.replace(OPEN, shoppers=9))
    assert changed is gate
    assert gate.room.shoppers == 9
    gates.use([msgspec.structs.replace(OPEN, id=UUID(int=9))])
    assert not gates.by_showtime[SHOWTIME.bytes].lets_in(person(ADA))
    gates.use([])
    assert gates.by_showtime == {}
    gates.put(OPEN)
    gates.drop(ROOM)
    gates.drop(ROOM)
    assert gates.by_showtime == {}


async def test_all_who_ask_at_once_are_looked_up_together() -> None:
    street = Street()
    gate = street.gates.put(OPEN)
    street.inside = [Inside(ROOM, ADA, NOW + timedelta(seconds=5))]
    street.ask(gate, person(ADA), "ada")
    street.ask(gate, person(BOB), "bob")
    street.ask(gate, person(GUEST, guest_ids=(ADA.bytes,)), "claimant")
    await street.settle(3)
    assert street.went == ["ada", "bob: QUEUE_REQUIRED", "claimant"]
    assert street.looks == [{ADA, BOB, GUEST}]
    assert street.gates.refused == 1
    assert gate.lets_in(person(ADA))


async def test_a_room_that_closes_meanwhile_lets_them_go_on() -> None:
    street = Street()
    gate = street.gates.put(OPEN)
    street.ask(gate, person(BOB), "bob")
    street.gates.drop(ROOM)
    await street.settle(1)
    assert street.went == ["bob"]


async def test_without_a_database_they_are_told_to_try_again() -> None:
    street = Street()
    street.failure = refuse("RETRY")
    street.ask(street.gates.put(OPEN), person(BOB), "bob")
    await street.settle(1)
    assert street.went == ["bob: RETRY"]


async def test_what_goes_wrong_with_one_hold_is_answered_and_harms_no_other() -> None:
    street = Street()
    gate = street.gates.put(OPEN)
    street.inside = [Inside(ROOM, ADA, NOW + timedelta(seconds=5))]

    def refused() -> None:
        raise refuse("VALIDATION_ERROR")

    def broken() -> None:
        raise ZeroDivisionError

    street.ask(gate, person(ADA), "first", go_on=refused)
    street.ask(gate, person(ADA), "second", go_on=broken)
    street.ask(gate, person(ADA), "third")
    await street.settle(3)
    assert street.went == ["first: VALIDATION_ERROR", "second: INTERNAL", "third"]


async def test_looks_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates_module, "LOOKS_WAITING_LIMIT", 2)
    monkeypatch.setattr(gates_module, "CUSTOMERS_AT_ONCE", 1)
    street = Street()
    gate = street.gates.put(OPEN)
    for number in range(3):
        street.ask(gate, person(UUID(int=100 + number)), str(number))
    assert street.went == ["2: OVERLOADED"]
    await street.settle(3)
    assert street.went[1:] == ["0: QUEUE_REQUIRED", "1: QUEUE_REQUIRED"]
    assert [len(one) for one in street.looks] == [1, 1]


FILM = msgspec.structs.replace(
    OPEN,
    id=UUID(int=4),
    showtime_id=None,
    movie_id=UUID(int=5),
    showtime_ids=(SHOWTIME, UUID(int=6)),
)


def test_a_films_gate_stands_before_all_its_showtimes_but_those_with_their_own() -> None:
    gates, other = Street().gates, UUID(int=6)
    film = gates.put(FILM)
    assert gates.showtimes_of(film) == [SHOWTIME, other]
    own = gates.put(OPEN)
    assert (gates.by_showtime[SHOWTIME.bytes], gates.by_showtime[other.bytes]) == (own, film)
    assert gates.showtimes_of(film) == [other]
    gates.use([OPEN, FILM])
    assert gates.showtimes_of(film) == [other]
    gates.drop(ROOM)
    assert gates.showtimes_of(film) == [SHOWTIME, other]
    gates.use([msgspec.structs.replace(FILM, showtime_ids=(SHOWTIME,))])
    assert gates.by_showtime == {SHOWTIME.bytes: film}
    assert gates.of_film(CINEMA, UUID(int=5)) is film
    assert gates.of_film(UUID(int=7), UUID(int=5)) is None


def test_who_is_inside_of_a_films_room_holds_at_each_of_its_showtimes() -> None:
    gates = Street().gates
    gate = gates.put(FILM)
    gate.admit(ADA.bytes, to_us(NOW + timedelta(minutes=1)))
    for showtime_id in FILM.showtime_ids:
        assert gates.by_showtime[showtime_id.bytes].lets_in(person(ADA))
        assert not gates.by_showtime[showtime_id.bytes].lets_in(person(BOB))
