"""Mails about offers of wait lists: whom, once, and only as long as the seats are held."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from cinema.actors.messages import TRY_AGAIN, HoldSeen, Outcome, ReadHold
from cinema.domain.rejections import Rejection
from cinema.domain.showtime.packed import SeatGroup
from cinema.domain.showtime.state import HoldStatus
from cinema.features.messages.store import MessagesRepository
from cinema.features.waitlist import jobs
from cinema.features.waitlist.jobs import MESSAGE, OffersTold
from cinema.features.waitlist.store import OffersRepository
from cinema.storage.encryption import Cipher
from tests.support.catalog_rows import INSERT_SHOWTIMES
from tests.support.stores import TERMS

pytestmark = pytest.mark.postgres

NOW = datetime(2026, 6, 1, 17, 31, tzinfo=UTC)
UNTIL = NOW + timedelta(minutes=15)
SHOWTIME = UUID(int=1)
ADA, BOB, GUEST, CLAIMED, GONE = (UUID(int=n) for n in (11, 12, 13, 14, 15))

_PEOPLE = """
insert into users (id, email, email_key, password_hash, first_name, language, created_at,
    deleted_at)
values ($1, 'ada@example.com', 'ada@example.com', 'none', 'Ada', 'de', now(), null),
    ($2, 'bob@example.com', 'bob@example.com', 'none', '', 'en', now(), null),
    ($3, 'erased-3@invalid', 'erased-3@invalid', 'none', '', 'en', now(), now())"""
_GUESTS = """
insert into guests (id, created_at, expires_at, claimed_by, claimed_at)
values ($1, now(), now() + interval '1 day', null, null),
    ($2, now(), now() + interval '1 day', $3, now())"""
_OFFER = """
insert into waitlist_offers (hold_id, showtime_id, user_id, offered_at, expires_at)
values ($1, $2, $3, $4, $5)"""


class Office:
    """Offers in Postgres, and a showtime that says of each hold what the test has said."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self.pool = pool
        self.now = NOW
        self.holds: dict[UUID, HoldStatus | Outcome] = {}
        self.asked: list[UUID] = []
        serials = iter(range(1000, 9999))
        self._messages = MessagesRepository(
            pool,
            Cipher([bytes(32)]),
            new_id=lambda: next(serials).to_bytes(16, "big"),
            now=lambda: self.now,
        )
        self.payloads: list[Mapping[str, Any]] = []
        self.told = self.node()

    def node(self) -> OffersTold:
        """One more node that looks."""
        dispatch: Any = self
        offers = OffersRepository(self.pool)
        return OffersTold(
            *(dispatch, offers, self.pool, self._post),
            base_url="https://tickets.example",
            now=lambda: self.now,
        )

    async def _post(self, running: Any, **message: Any) -> object:
        self.payloads.append(message["payload"])
        return await self._messages.enqueue(running, **message)

    async def ask(self, showtime_id: bytes, query: ReadHold) -> Outcome:
        """The showtime's answer."""
        assert showtime_id == SHOWTIME.bytes
        hold_id = UUID(bytes=query.hold_id)
        self.asked.append(hold_id)
        told = self.holds.get(hold_id, Rejection(code="NOT_FOUND"))
        if not isinstance(told, str):
            return told
        group = SeatGroup(query.customer, 0, 0, (0, 61), (1000, 1250))
        return HoldSeen(query.hold_id, told, group, 1, 1, TERMS)

    async def open(self) -> None:
        """A showtime, and people who wait for it."""
        await self.pool.execute(INSERT_SHOWTIMES, [SHOWTIME])
        await self.pool.execute(_PEOPLE, ADA, BOB, GONE)
        await self.pool.execute(_GUESTS, GUEST, CLAIMED, BOB)

    async def offer(
        self, number: int, user_id: UUID, status: HoldStatus | Outcome = "active"
    ) -> UUID:
        hold_id = UUID(int=number)
        at = NOW + timedelta(seconds=number)
        await self.pool.execute(_OFFER, hold_id, SHOWTIME, user_id, at, UNTIL)
        self.holds[hold_id] = status
        return hold_id

    async def mails(self) -> list[tuple[str, str]]:
        """Who gets a mail, and in which language."""
        rows = await self.pool.fetch(
            "select recipient, language, drop_after from messages where kind = $1 order by id",
            MESSAGE,
        )
        assert {row["drop_after"] for row in rows} <= {UNTIL}
        return [(row["recipient"], row["language"]) for row in rows]

    async def left(self) -> int:
        """Offers of which nobody has been told."""
        count: int = await self.pool.fetchval("select count(*) from waitlist_offers")
        return count


@pytest.fixture
async def office(pool: asyncpg.Pool[asyncpg.Record]) -> Office:
    office = Office(pool)
    await office.open()
    return office


async def test_who_has_an_address_is_told_once(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "PAGE", 2)
    for number, person in enumerate((ADA, GUEST, CLAIMED, GONE, BOB), 101):
        await office.offer(number, person)
    assert await office.told.round() == 3
    assert await office.mails() == [
        ("ada@example.com", "de"),
        ("bob@example.com", "en"),
        ("bob@example.com", "en"),
    ]
    assert await office.left() == 0
    payload = office.payloads[0]
    starts = payload["starts"]
    assert payload == {
        "first_name": "Ada",
        "film": "Stalker",
        "cinema": "Aurora",
        "starts": starts,
        "seats": "A1, B2",
        "until": "2026-06-01 19:46",
        "url": f"https://tickets.example/showtimes/{SHOWTIME}",
        "showtime_id": str(SHOWTIME),
        "hold_id": str(UUID(int=101)),
        "user_id": str(ADA),
    }
    assert await office.told.round() == 0
    assert len(await office.mails()) == 3


async def test_of_an_offer_that_has_ended_nobody_is_told(office: Office) -> None:
    ended: tuple[HoldStatus, ...] = ("paying", "booked", "released", "expired")
    for number, status in enumerate(ended, 101):
        await office.offer(number, ADA, status)
    await office.offer(200, ADA, Rejection(code="NOT_FOUND"))
    assert await office.told.round() == 0
    assert await office.mails() == []
    assert await office.left() == 0


async def test_an_offer_that_is_over_is_forgotten_without_a_question(office: Office) -> None:
    await office.offer(101, ADA)
    office.now = UNTIL
    assert await office.told.round() == 0
    assert (office.asked, await office.left()) == ([], 0)


async def test_who_cannot_be_asked_about_now_is_told_later(office: Office) -> None:
    unknown = await office.offer(101, ADA, TRY_AGAIN)
    await office.offer(102, BOB)
    assert await office.told.round() == 1
    assert await office.mails() == [("bob@example.com", "en")]
    office.holds[unknown] = "active"
    assert await office.told.round() == 1
    assert await office.left() == 0


async def test_of_two_nodes_one_tells(office: Office) -> None:
    await office.offer(101, ADA)
    (first,) = await OffersRepository(office.pool).due(None, 10)
    assert await office.told.round() == 1
    # The other one has read the row before.
    assert await office.node().tell(first) is False
    assert len(await office.mails()) == 1


async def test_a_mail_is_dropped_when_its_offer_has_ended(office: Office) -> None:
    await office.offer(101, ADA)
    await office.told.round()
    (payload,) = office.payloads
    for status, wanted in (("active", True), ("released", False), (TRY_AGAIN, True)):
        office.holds[UUID(int=101)] = status  # type: ignore[assignment]
        assert await office.told.is_open(payload) is wanted
