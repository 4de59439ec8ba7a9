"""The demo's past: who looked for seats in the weeks before the first start, and what came of it.

The showtimes of those weeks are the ones that the programme would have had. Who came to them
follows from their ids, and what happened is decided by the same `decide` as everywhere: so it is
the same on each machine on which the demo starts on the same day. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Final, Literal, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from cinema.demo.catalog import FILMS, HOUSES, DemoFilm, demo_id, screen_id
from cinema.demo.programme import of_days_before
from cinema.demo.store import DemoShowtime
from cinema.domain.ids import RANDOM_BITS, new_id
from cinema.domain.principal import CUSTOMER
from cinema.domain.showtime.commands import AnyCommand, BookHold, HoldBestAvailable, ReleaseHold
from cinema.domain.showtime.decisions import decide
from cinema.domain.showtime.events import (
    AnyEvent,
    HoldBooked,
    HoldReleased,
    SeatsHeld,
    encode_recorded,
)
from cinema.domain.showtime.expiry import due_expiries
from cinema.domain.showtime.state import ShowtimeState, evolve
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.domain.times import to_us
from cinema.features.bookings.service import CODE_ALPHABET, CODE_CHARS
from cinema.storage.journal.branches import Happened, RowBranches
from cinema.storage.journal.store import NewEvent

DAYS: Final = 21

PEOPLE: Final = 240
VISITS_MOST: Final = 5
"""Visits of one customer: everybody has films left to be recommended."""

OWN: Final = demo_id("user", CUSTOMER)
"""The account that visitors of the demo sign in with: what it says of films is up to them."""

_FILMS: Final[Mapping[UUID, DemoFilm]] = {demo_id("movie", film.title): film for film in FILMS}

Ending = Literal["booked", "released", "expired"]
ENDINGS: Final[tuple[Ending, ...]] = ("booked", "released", "expired")
_SHARES: Final = (80, 13, 7)
_PARTIES: Final = ((1, 2, 3, 4, 5), (20, 50, 12, 13, 5))
_GUESTS: Final = 0.35
"""So many of those who come have no account."""

_USUAL_PARTIES: Final = 4.0
_PRIME_HOURS: Final = range(18, 22)
_SALES_BEGIN: Final = timedelta(days=6)
_SALES_END: Final = timedelta(minutes=20)
_CHECKOUT_S: Final = (40, 400)
_SECOND_US: Final = 1_000_000

_FIRST_NAMES: Final = (
    *("Ada", "Bruno", "Clara", "Dmitri", "Elif", "Felix", "Greta", "Hugo", "Ines", "Jonas"),
    *("Karin", "Liam", "Mira", "Noah", "Olga", "Pavel", "Rosa", "Samir", "Tilda", "Victor"),
)
_LAST_NAMES: Final = (
    *("Albers", "Bianchi", "Costa", "Dietrich", "Eriksen", "Fontaine"),
    *("Garcia", "Hansen", "Ivanova", "Jansen", "Keller", "Lindqvist"),
)

_GOOD: Final = ("Twice, and I would go again.", "What a picture on a large screen!", "Loved it.")
_FAIR: Final = ("Long, but good in parts.", "Not quite my kind of film.", "Fine for an evening.")
_RATED: Final = 0.3
"""So many of those who were there say what they think."""


class Person(NamedTuple):
    """A customer of the past, who likes two genres and goes to one cinema."""

    id: UUID
    first_name: str
    last_name: str
    email: str
    genres: frozenset[str]
    house: str


class Party(NamedTuple):
    """People who look for seats together, at a time, and how that ends."""

    customer: UUID
    person: Person | None
    quantity: int
    at_us: int
    ending: Ending


class PastBooking(NamedTuple):
    """Seats that were sold; who has an account may have been there and rated the film."""

    id: UUID
    person: Person | None
    customer: UUID
    seats: int
    came: bool
    rating: int | None
    text: str


class Happenings(msgspec.Struct, frozen=True):
    """What happened at a showtime: its events in order, what was sold, and who had no account."""

    events: Sequence[NewEvent]
    bookings: Sequence[PastBooking]
    guests: Sequence[tuple[UUID, int]]
    holds: int
    checkouts: int


def people() -> list[Person]:
    """All customers, the demo's own account first."""
    genres = sorted({genre for film in FILMS for genre in film.genres})
    found = []
    for number in range(PEOPLE):
        luck = Random(f"person {number}")
        first, last = _FIRST_NAMES[number % 20], _LAST_NAMES[number // 20]
        own = number == 0
        found.append(
            Person(
                id=OWN if own else demo_id("user", f"past/{number}"),
                first_name=first,
                last_name=last,
                email=f"{first}.{last}@past.cinema.example".lower(),
                genres=frozenset(luck.sample(genres, 2)),
                house=HOUSES[0 if own or luck.random() < 0.65 else 1].cinema.name,
            )
        )
    return found


def showtimes(now: datetime) -> list[DemoShowtime]:
    """What was shown in the weeks before, the earliest first; all has been over for an hour."""
    over = now - timedelta(hours=1)
    shown = [one for one in of_days_before(now, DAYS) if one.times.ends_at <= over]
    return sorted(shown, key=lambda one: (one.times.starts_at, one.id))


def parties(shown: Sequence[DemoShowtime]) -> Iterator[tuple[DemoShowtime, list[Party]]]:
    """Who looked for seats of each showtime, in the order in which they came."""
    houses = {screen_id(house, plan): house.cinema for house in HOUSES for plan in house.plans}
    everybody = people()
    seen: dict[UUID, set[UUID]] = {one.id: set() for one in everybody}
    for showtime in shown:
        house, film = houses[showtime.screen_id], _FILMS[showtime.movie_id]
        luck = Random(showtime.id.int)
        at_home = [
            one
            for one in everybody
            if one.house == house.name
            and len(seen[one.id]) < VISITS_MOST
            and showtime.movie_id not in seen[one.id]
        ]
        starts = showtime.times.starts_at
        wanted = _wanted(film, starts.astimezone(ZoneInfo(house.time_zone)))
        found = []
        for _ in range(round(luck.uniform(0.4, 1.6) * wanted)):
            at_us = to_us(starts - _ahead(luck))
            person = None if luck.random() < _GUESTS else _choose(luck, at_home, film)
            ending = luck.choices(ENDINGS, _SHARES)[0]
            if person is not None:
                at_home.remove(person)
                if ending == "booked":
                    seen[person.id].add(showtime.movie_id)
            customer = UUID(bytes=_id(luck, at_us)) if person is None else person.id
            quantity = luck.choices(*_PARTIES)[0]
            found.append(Party(customer, person, quantity, at_us, ending))
        yield showtime, sorted(found, key=lambda one: (one.at_us, one.customer))


def _wanted(film: DemoFilm, local: datetime) -> float:
    rank = FILMS.index(film)
    weekend = 1.5 if local.weekday() >= 4 else 1.0
    prime = 1.4 if local.hour in _PRIME_HOURS else 0.7
    return _USUAL_PARTIES * weekend * prime * 1.8 / (1 + 0.15 * rank)


def _ahead(luck: Random) -> timedelta:
    """How long before the start; most come late."""
    share: float = luck.random() ** 3
    return _SALES_END + share * (_SALES_BEGIN - _SALES_END)


def _choose(luck: Random, among: Sequence[Person], film: DemoFilm) -> Person | None:
    if not among:
        return None
    weights = [8.0 if one.genres & set(film.genres) else 1.0 for one in among]
    return luck.choices(among, weights)[0]


def _id(luck: Random, at_us: int) -> bytes:
    return new_id(at_us, luck.getrandbits(RANDOM_BITS))


class _Journal:
    """Decides one after the other, and keeps what is to be written."""

    def __init__(self, terms: ShowtimeTerms, epoch: int, branches: RowBranches) -> None:
        self.state = ShowtimeState(terms.plan.seat_count, terms.plan.version)
        self.events: list[NewEvent] = []
        self._terms = terms
        self._epoch = epoch
        self._branches = branches

    def ask(self, command: AnyCommand, at_us: int) -> AnyEvent | None:
        """The event that a command leads to; None if it is refused."""
        self.expire(at_us)
        decision = decide(self.state, self._terms, command, at_us)
        if not isinstance(decision, SeatsHeld | HoldBooked | HoldReleased):
            return None
        self._write(command.command_id, decision, at_us)
        return decision

    def expire(self, up_to_us: int) -> None:
        """End the holds whose time is over by then, each at its time."""
        while self.state.holds and self.state.earliest_due_us() <= up_to_us:
            due_us = self.state.earliest_due_us()
            for event in due_expiries(self.state, due_us):
                self._write(b"", event, due_us)

    def _write(self, command_id: bytes, event: AnyEvent, at_us: int) -> None:
        seq, payload = self.state.seq + 1, encode_recorded(command_id, b"", event)
        rows = None
        if type(event) in self._branches.events:
            rows = self._branches.rows_of(seq, Happened(event, self._terms, at_us, None))
        evolve(self.state, seq, self._epoch, at_us, command_id, b"", event, payload)
        self.events.append(NewEvent(payload, at_us, self.state.next_due_us, rows))


def happenings(
    showtime: DemoShowtime,
    came: Iterable[Party],
    terms: ShowtimeTerms,
    epoch: int,
    branches: RowBranches,
) -> Happenings:
    """What came of those who looked for seats of a showtime."""
    luck = Random(showtime.id.int + 1)
    journal, bookings, checkouts = _Journal(terms, epoch, branches), [], 0
    guests: list[tuple[UUID, int]] = []
    # By time, since somebody may look for seats while others pay.
    later: list[tuple[int, int, Party, AnyCommand]] = []
    holds = 0
    for number, party in enumerate(came):
        due = [one for one in later if one[0] <= party.at_us]
        later = [one for one in later if one[0] > party.at_us]
        for at_us, _, other, command in sorted(due, key=lambda one: one[:2]):
            checkouts += isinstance(command, BookHold)
            bookings += _answered(luck, showtime, other, journal.ask(command, at_us))
        hold = HoldBestAvailable(
            command_id=_id(luck, party.at_us),
            hold_id=_id(luck, party.at_us),
            customer=party.customer.bytes,
            quantity=party.quantity,
        )
        if journal.ask(hold, party.at_us) is None:
            continue
        holds += 1
        if party.person is None:
            guests.append((party.customer, party.at_us))
        then_us = party.at_us + luck.randint(*_CHECKOUT_S) * _SECOND_US
        if party.ending != "expired":
            later.append((then_us, number, party, _ending(luck, party, hold.hold_id, then_us)))
    for at_us, _, other, command in sorted(later, key=lambda one: one[:2]):
        checkouts += isinstance(command, BookHold)
        bookings += _answered(luck, showtime, other, journal.ask(command, at_us))
    journal.expire(to_us(showtime.times.ends_at))
    return Happenings(journal.events, bookings, guests, holds, checkouts)


def _ending(luck: Random, party: Party, hold_id: bytes, at_us: int) -> AnyCommand:
    command_id, customer = _id(luck, at_us), party.customer.bytes
    if party.ending == "released":
        return ReleaseHold(command_id=command_id, hold_id=hold_id, customer=customer)
    return BookHold(
        command_id=command_id,
        hold_id=hold_id,
        customer=customer,
        booking_id=_id(luck, at_us),
        code="".join(luck.choices(CODE_ALPHABET, k=CODE_CHARS)),
        payment_id=_id(luck, at_us),
        payment_method="demo",
    )


def _answered(
    luck: Random, showtime: DemoShowtime, party: Party, event: AnyEvent | None
) -> list[PastBooking]:
    """The booking that an event is, if it is one."""
    if not isinstance(event, HoldBooked):
        return []
    came, rating, text = luck.random() < 0.94, None, ""
    person = party.person
    if came and person is not None and person.id != OWN and luck.random() < _RATED:
        liked = bool(person.genres & set(_FILMS[showtime.movie_id].genres))
        rating = luck.choice((4, 5, 5) if liked else (2, 3, 4))
        text = luck.choice(_GOOD if rating >= 4 else _FAIR)
    booking_id = UUID(bytes=event.booking_id)
    return [PastBooking(booking_id, person, party.customer, len(event.seats), came, rating, text)]
