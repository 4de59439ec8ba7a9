"""Guests on a real Postgres: what they are owed, whose they become, when they are forgotten."""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from cinema.domain.ids import RANDOM_BITS, new_id
from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused, refuse
from cinema.features.accounts.guest_rules import GuestTimes
from cinema.features.accounts.guest_service import GuestsService
from cinema.features.accounts.guest_store import GuestsRepository
from cinema.features.accounts.letters import AccountLetter
from cinema.features.accounts.passwords import PasswordHasher
from cinema.features.accounts.shapes import Claim, ClaimInput, DeleteInput, GuestToken
from cinema.features.accounts.signing_keys import SigningKeys
from cinema.features.accounts.throttles import ThrottleRules, Throttles
from cinema.features.accounts.tokens import TokenIssuer, TokenVerifier
from cinema.features.bookings.order_jobs import OwedMails
from cinema.features.bookings.order_rules import OrderLinks, digest_of_order
from cinema.features.bookings.order_store import NewOrder, OrdersRepository
from cinema.storage.database.transactions import Pool, PooledConnection
from cinema.storage.redis.throttle_counts import ThrottleCounts
from tests.integration.features.accounts_house import HERE, KEY, THERE, Clock, House, ann, refusal
from tests.support.catalog_rows import INSERT_SHOWTIMES

pytestmark = pytest.mark.postgres

DAY_S = 86_400
TIMES = GuestTimes(lasts_s=DAY_S, kept_days=30)
EMAIL = "ann@example.com"


class Desk:
    """Where guests buy."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.clock = house.clock
        self.held: dict[bytes, int] = {}
        self.letters: list[AccountLetter] = []
        self.failures: list[Refused] = []
        self.guests = GuestsRepository(house.pool, new_id=fresh_id, times=TIMES)
        keys = SigningKeys([KEY])
        self.service = GuestsService(
            self.guests,
            TokenIssuer(keys, ttl_s=DAY_S, clock=house.clock),
            TokenVerifier(keys, clock=house.clock),
            house.admission,
            Throttles(ThrottleCounts(house.clock), ThrottleRules(guests_per_hour_per_address=99)),
            unpaid_seats=lambda guest: self.held.get(guest, 0),
            new_id=fresh_id,
            clock=house.clock,
        )
        self.orders = OrdersRepository(house.pool, self._post, times=TIMES)
        links = OrderLinks("https://tickets.example/")
        self.owed = OwedMails(self.orders, links, now=self.now)

    async def _post(self, running: PooledConnection, letter: AccountLetter) -> None:
        assert running.is_in_transaction()
        if self.failures:
            raise self.failures.pop()
        self.letters.append(letter)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock.now_s, UTC)

    async def guest(self) -> GuestToken:
        return await self.service.begin(HERE)

    async def expect(self, guest_id: uuid.UUID, email: str = EMAIL) -> uuid.UUID:
        """The id of a booking that is about to be made."""
        booking_id = fresh_id()
        order = NewOrder(
            booking_id=booking_id,
            guest_id=guest_id,
            email=email,
            email_key=email.lower(),
            language="de",
            at=self.now(),
        )
        await self.orders.expect(order)
        return booking_id

    async def book(self, owner: uuid.UUID, booking_id: uuid.UUID) -> None:
        """What a showtime writes with its event, as far as it matters here."""
        await self.house.pool.execute(
            "insert into bookings (id, code, showtime_id, user_id, hold_id, status, total_minor,"
            " currency, created_at) values ($1, $2, $1, $3, $1, 'confirmed', 0, 'EUR', $4)",
            booking_id,
            booking_id.hex[-12:],
            owner,
            self.now(),
        )

    async def booked(self, guest_id: uuid.UUID, email: str = EMAIL) -> uuid.UUID:
        booking_id = await self.expect(guest_id, email)
        await self.book(guest_id, booking_id)
        return booking_id

    async def note(self, booking_id: uuid.UUID) -> None:
        """What staff write down about a booking."""
        await self.house.pool.execute(
            "insert into booking_notes (id, booking_id, text, written_at)"
            " values ($1, $1, 'Came late.', now())",
            booking_id,
        )

    async def tell(self) -> int:
        """Work off the queue once."""
        pieces = await self.owed.claim(8)
        for one in pieces:
            await self.owed.work(one)
        return len(pieces)

    async def sweep(self) -> None:
        while await self.guests.forget_due(self.now(), 2):
            pass

    async def principal_of(self, token: str) -> Principal:
        return await self.house.admission.look_up(token)

    async def account(self, email: str = EMAIL) -> Principal:
        made = await self.house.accounts.register(ann(email=email), THERE)
        await self.house.pool.execute(
            "update users set email_verified = true where id = $1", uuid.UUID(made.user.id)
        )
        return await self.principal_of(made.access_token)


@pytest.fixture
async def desk(pool: Pool) -> AsyncIterator[Desk]:
    hasher = PasswordHasher(10)
    yield Desk(House(pool, Clock(), hasher))
    hasher.close()


def fresh_id() -> uuid.UUID:
    return uuid.UUID(bytes=new_id(time.time_ns() // 1000, secrets.randbits(RANDOM_BITS)))


async def whole(pool: Pool, table: str) -> str:
    return str(await pool.fetchval(f"select coalesce(json_agg({table})::text, '') from {table}"))


# --- what is owed


async def test_booking_is_told_once_it_is_there_and_only_then(desk: Desk) -> None:
    guest = (await desk.guest()).guest
    booking_id = await desk.expect(guest.id)
    assert await desk.tell() == 0
    await desk.book(guest.id, booking_id)
    assert await desk.tell() == 1
    assert await desk.tell() == 0
    (letter,) = desk.letters
    assert (letter.kind, letter.to, letter.language) == ("order_link", EMAIL, "de")
    address, _, token = str(letter.payload["url"]).partition("#token=")
    assert address == f"https://tickets.example/orders/{booking_id}"
    assert await desk.orders.is_good(booking_id, digest_of_order(booking_id, token), desk.now())
    assert token not in await whole(desk.house.pool, "guest_orders")


async def test_mail_that_could_not_be_written_is_owed_still_and_told_once(desk: Desk) -> None:
    """A process that dies in between leaves the same behind."""
    guest = (await desk.guest()).guest
    await desk.booked(guest.id)
    desk.failures.append(refuse("RETRY"))
    with pytest.raises(Refused):
        await desk.tell()
    assert await desk.tell() == 0, "nobody else has it for a minute"
    desk.clock.now_s += 60
    assert await desk.tell() == 1
    assert len(desk.letters) == 1


async def test_two_nodes_tell_a_booking_once(desk: Desk) -> None:
    guest = (await desk.guest()).guest
    for _ in range(6):
        await desk.booked(guest.id)
    both = await asyncio.gather(desk.owed.claim(8), desk.owed.claim(8))
    assert sorted(map(len, both)) in ([0, 6], [1, 5], [2, 4], [3, 3])
    # One that took so long that another has taken it up too.
    pieces = [one for some in both for one in some]
    await asyncio.gather(*(desk.owed.work(one) for one in pieces * 2))
    assert len(desk.letters) == 6


async def test_what_nobody_booked_is_forgotten_after_an_hour(desk: Desk) -> None:
    guest = (await desk.guest()).guest
    booked = await desk.booked(guest.id)
    for _ in range(3):
        await desk.expect(guest.id)
    assert await desk.orders.forget(desk.now(), 10) == 0
    desk.clock.now_s += 3601
    assert await desk.orders.forget(desk.now(), 2) == 2
    assert await desk.orders.forget(desk.now(), 2) == 1
    left = await desk.house.pool.fetch("select booking_id from guest_orders")
    assert [row["booking_id"] for row in left] == [booked]


async def test_guest_who_has_ended_books_nothing(desk: Desk) -> None:
    made = await desk.guest()
    await desk.service.end(await desk.principal_of(made.access_token))
    with pytest.raises(Refused) as refused:
        await desk.expect(made.guest.id)
    assert refused.value.rejection.code == "UNAUTHENTICATED"
    assert await desk.house.count("guest_orders") == 0


async def test_address_may_change_until_something_is_booked(desk: Desk) -> None:
    guest = (await desk.guest()).guest
    await desk.expect(guest.id, "wrong@example.com")
    await desk.booked(guest.id)
    assert await refusal(desk.expect(guest.id, "wrong@example.com")) == "GUEST_HAS_EMAIL"
    await desk.tell()
    assert [one.to for one in desk.letters] == [EMAIL]


# --- who they are


async def test_guest_is_let_in_until_it_ends_or_is_claimed(desk: Desk) -> None:
    ended, claimed, deleted = await desk.guest(), await desk.guest(), await desk.guest()
    lives = desk.house.lives
    for one in (ended, claimed, deleted):
        assert await lives(one.access_token)
    # Not through the service, which tells its own node: as another node learns of it.
    pool = desk.house.pool
    await pool.execute("update guests set ended_at = now() where id = $1", ended.guest.id)
    account = await desk.account()
    await pool.execute(
        "update guests set claimed_by = $2, claimed_at = now() where id = $1",
        claimed.guest.id,
        uuid.UUID(bytes=account.user_id),
    )
    await pool.execute("update guests set expires_at = now() + interval '1 hour'")
    await pool.execute("delete from guests where id = $1", deleted.guest.id)
    for one in (ended, claimed, deleted):
        assert not await lives(one.access_token)


async def test_nodes_learn_whose_guests_an_account_has(desk: Desk) -> None:
    made = await desk.house.accounts.register(ann(), THERE)
    await desk.house.pool.execute("update users set email_verified = true")
    principal = await desk.principal_of(made.access_token)
    assert principal.guest_ids == ()
    other = House(desk.house.pool, desk.clock, desk.house.hasher)
    await other.admission.look_up(made.access_token)
    guests = []
    for _ in range(18):
        guest = (await desk.guest()).guest
        await desk.booked(guest.id)
        guests.append(guest.id)
        await desk.service.claim(principal, ClaimInput(), HERE)
        desk.clock.now_s += 1
    await other.admission.read_changes()
    seen = await other.admission.look_up(made.access_token)
    assert seen.guest_ids == tuple(one.bytes for one in guests[:1:-1])


async def test_renewal_of_a_guest_who_holds_lasts_a_day_from_then(desk: Desk) -> None:
    made = await desk.guest()
    principal = await desk.principal_of(made.access_token)
    desk.clock.now_s += 3600
    idle = await desk.service.renew(principal)
    assert (idle.guest, idle.expires_in) == (made.guest, DAY_S - 3600)
    desk.held[made.guest.id.bytes] = 1
    anew = await desk.service.renew(principal)
    assert anew.guest.expires_at == desk.now() + timedelta(days=1)
    assert anew.expires_in == DAY_S
    desk.held.clear()
    desk.clock.now_s += DAY_S
    assert await refusal(desk.service.renew(principal)) == "UNAUTHENTICATED"


async def test_renewal_of_a_guest_who_is_gone_is_refused(desk: Desk) -> None:
    made = await desk.guest()
    principal = await desk.principal_of(made.access_token)
    await desk.house.pool.execute("delete from guests")
    for held in (0, 1):
        desk.held[made.guest.id.bytes] = held
        assert await refusal(desk.service.renew(principal)) == "UNAUTHENTICATED"


async def test_account_that_is_gone_or_disabled_claims_nothing(desk: Desk) -> None:
    guest = (await desk.guest()).guest
    await desk.booked(guest.id)
    account = await desk.account()
    await desk.house.pool.execute("update users set disabled_at = now()")
    assert await refusal(desk.service.claim(account, ClaimInput(), HERE)) == "NOT_FOUND"
    await desk.house.pool.execute("delete from users")
    assert await refusal(desk.service.claim(account, ClaimInput(), HERE)) == "NOT_FOUND"


# --- when they are forgotten


async def test_guest_without_bookings_is_gone_an_hour_after_its_end(desk: Desk) -> None:
    made = await desk.guest()
    await desk.expect(made.guest.id)
    desk.clock.now_s += DAY_S + 3599
    await desk.sweep()
    assert await desk.house.count("guests") == 1
    desk.clock.now_s += 1
    await desk.sweep()
    assert (await desk.house.count("guests"), await desk.house.count("guest_orders")) == (0, 0)
    assert await desk.house.count("audit_log") == 0


async def test_address_is_forgotten_thirty_days_after_what_was_booked(desk: Desk) -> None:
    made = await desk.guest()
    booking_id = await desk.booked(made.guest.id)
    await desk.tell()
    pool = desk.house.pool
    await desk.note(booking_id)
    desk.clock.now_s += 2 * DAY_S
    await desk.sweep()
    assert EMAIL in await whole(pool, "guests")
    assert await desk.house.count("booking_notes") == 1
    desk.clock.now_s += 28 * DAY_S
    await desk.sweep()
    assert await desk.house.count("booking_notes") == 0
    assert EMAIL not in await whole(pool, "guests")
    assert await desk.house.count("guest_orders") == 0
    assert await pool.fetchval("select id from bookings") == booking_id
    audit = await pool.fetch("select action, actor_id, target_id from audit_log")
    assert [tuple(row.values()) for row in audit] == [("guest_erased", None, made.guest.id)]
    await desk.sweep()
    assert await desk.house.count("audit_log") == 1


async def test_claimed_guest_stays_the_accounts_when_its_address_is_forgotten(desk: Desk) -> None:
    made = await desk.guest()
    await desk.booked(made.guest.id)
    account = await desk.account()
    assert await desk.service.claim(account, ClaimInput(), HERE) == Claim(guests=1, bookings=1)
    desk.clock.now_s += 40 * DAY_S
    await desk.sweep()
    row = await desk.house.pool.fetchrow("select claimed_by, email, look_at from guests")
    assert row is not None
    assert tuple(row.values()) == (uuid.UUID(bytes=account.user_id), None, None)


async def test_erased_account_leaves_no_address_of_its_guests(desk: Desk) -> None:
    made = await desk.guest()
    await desk.note(await desk.booked(made.guest.id))
    await desk.tell()
    account = await desk.account()
    await desk.service.claim(account, ClaimInput(), HERE)
    house = desk.house
    await house.profile.delete(account, DeleteInput(password="correct horse"), HERE)
    desk.clock.now_s += 8 * DAY_S
    assert await house.erasure.erase_due(desk.now(), 10) == 1
    for table in ("guests", "guest_orders", "users", "audit_log"):
        assert EMAIL not in await whole(house.pool, table), table
    assert await house.count("guest_orders") == 0
    assert await house.count("booking_notes") == 0


@pytest.mark.parametrize("is_proven", [True, False])
async def test_erased_account_leaves_no_address_of_guests_that_it_never_claimed(
    desk: Desk, is_proven: bool
) -> None:
    for email in (EMAIL, "other@example.com"):
        await desk.note(await desk.booked((await desk.guest()).guest.id, email))
    await desk.tell()
    account = await desk.account()
    house = desk.house
    await house.pool.execute("update users set email_verified = $1", is_proven)
    await house.profile.delete(account, DeleteInput(password="correct horse"), HERE)
    desk.clock.now_s += 8 * DAY_S
    assert await house.erasure.erase_due(desk.now(), 10) == 1
    guests = await whole(house.pool, "guests")
    assert (EMAIL in guests) is not is_proven
    assert "other@example.com" in guests
    assert await house.count("guest_orders") == (1 if is_proven else 2)
    assert await house.count("booking_notes") == (1 if is_proven else 2)
    assert await house.count("bookings") == 2


async def test_erased_account_leaves_guests_who_still_need_their_address(desk: Desk) -> None:
    """Who booked what lies ahead needs the link, who still acts is about to."""
    booking_id = await desk.booked((await desk.guest()).guest.id)
    account = await desk.account()
    house = desk.house
    await house.profile.delete(account, DeleteInput(password="correct horse"), HERE)
    desk.clock.now_s += 8 * DAY_S
    # The showtime has the id of its booking; it is after the time of this clock.
    await house.pool.execute(INSERT_SHOWTIMES, [booking_id])
    acting = await desk.guest()
    await desk.expect(acting.guest.id)
    assert await house.erasure.erase_due(desk.now(), 10) == 1
    assert await house.pool.fetchval("select count(*) from guests where email = $1", EMAIL) == 2
    assert await house.count("guest_orders") == 2


async def test_account_is_not_given_up_while_a_claimed_booking_lies_ahead(desk: Desk) -> None:
    made = await desk.guest()
    booking_id = await desk.booked(made.guest.id)
    account = await desk.account()
    await desk.service.claim(account, ClaimInput(), HERE)
    # The showtime has the id of its booking; it is tomorrow.
    await desk.house.pool.execute(INSERT_SHOWTIMES, [booking_id])
    leaving = desk.house.profile.delete(account, DeleteInput(password="correct horse"), HERE)
    assert await refusal(leaving) == "BOOKING_AHEAD"


async def test_guest_without_an_address_is_forgotten_without_a_note(desk: Desk) -> None:
    made = await desk.guest()
    await desk.booked(made.guest.id)
    await desk.house.pool.execute("update guests set email = null, email_key = null")
    desk.clock.now_s += 40 * DAY_S
    await desk.sweep()
    assert await desk.house.count("audit_log") == 0
