"""Exports of accounts on a real Postgres: asked for, made, handed out, and gone."""

from __future__ import annotations

import asyncio
import io
import tracemalloc
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused, refuse
from cinema.features.accounts.letters import AccountLetter
from cinema.features.accounts.link_rules import digest_of_link
from cinema.features.accounts.passwords import PasswordHasher
from cinema.features.accounts.personal_store import AccountFacts
from cinema.features.accounts.shapes import ChangeEmailInput, SignedIn
from cinema.features.accounts.throttles import ThrottleRules, Throttles
from cinema.features.bookings.personal_store import BookingFacts
from cinema.features.feature import JobKind
from cinema.features.jobs.rules import LEASE_S
from cinema.features.jobs.service import JobsService
from cinema.features.messages.choice_store import ChoicesRepository
from cinema.features.messages.personal_store import MessageFacts
from cinema.features.personal import PAGE_ROWS, Disclose, PersonalFile, json_list
from cinema.features.privacy.jobs import TOO_LARGE, ExportMaker
from cinema.features.privacy.rules import (
    DOWNLOADS_AT_ONCE,
    DOWNLOADS_PER_HOUR,
    KIND,
)
from cinema.features.privacy.service import ExportsService
from cinema.features.privacy.shapes import Download
from cinema.features.privacy.store import UNFINISHED_KEPT, ExportsRepository
from cinema.storage.database.transactions import Pool, PooledConnection
from cinema.storage.encryption import Cipher
from cinema.storage.redis.throttle_counts import ThrottleCounts
from tests.integration.features.accounts_house import HERE, PUBLIC_URL, THERE, Clock, House, ann
from tests.integration.features.jobs_house import Yard

pytestmark = pytest.mark.postgres

PER_DAY = 3


class Office:
    """Accounts, jobs, and exports of the ones by the others."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.pool = house.pool
        self.yard = Yard(house.pool)
        self.yard.now = self.now
        self.exports = ExportsRepository(
            house.pool, Cipher([b"k" * 32]), self.yard.jobs, self.post, new_id=uuid4
        )
        self.throttles = Throttles(ThrottleCounts(house.clock), ThrottleRules())
        self.service = ExportsService(
            self.exports,
            JobsService(self.yard.jobs),
            self.throttles,
            per_day=PER_DAY,
            clock=house.clock,
        )
        self.disclosures: list[Disclose] = [
            AccountFacts(house.pool).disclose,
            BookingFacts(house.pool).disclose,
            MessageFacts(house.pool, ChoicesRepository(house.pool, Cipher([b"k" * 32]))).disclose,
        ]

    async def post(self, running: PooledConnection, letter: AccountLetter, /) -> None:
        assert running.is_in_transaction()
        self.house.letters.append(letter)

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.house.clock.now_s, UTC)

    def pass_s(self, seconds: float) -> None:
        self.house.clock.now_s += seconds
        self.yard.now = self.now

    def kinds(self, *disclosures: Disclose, **bounds: int) -> dict[str, JobKind]:
        maker = ExportMaker(
            self.exports,
            disclosures or self.disclosures,
            base_url=PUBLIC_URL,
            link_days=7,
            now=lambda: self.now,
            **bounds,
        )
        return {KIND: JobKind(run=maker.run)}

    async def member(self, **changes: str) -> Principal:
        """Somebody with a proven address."""
        signed = await self.house.accounts.register(ann(**changes), HERE)
        await self.pool.execute("update users set email_verified = true")
        return await self.principal(signed)

    async def principal(self, signed: SignedIn) -> Principal:
        return await self.house.admission.look_up(signed.access_token)

    async def make(self, who: Principal, *disclosures: Disclose, **bounds: int) -> str:
        """Ask for an export, have it made, and give the token of the mail."""
        job = await self.service.ask(who, HERE)
        assert await self.yard.do_all(self.yard.node(self.kinds(*disclosures, **bounds))) == 1
        assert (await self.yard.job(job.id)).status == "done"
        return self.token()

    def token(self) -> str:
        letter = self.house.letters[-1]
        assert letter.kind == "account_export"
        url, _, token = str(letter.payload["url"]).partition("#token=")
        start = PUBLIC_URL.rstrip("/") + "/exports/"
        assert url.startswith(start)
        return f"{url.removeprefix(start)} {token}"

    async def open(self, link: str) -> Download:
        export_id, token = link.split(" ")
        return await self.service.download(UUID(export_id), token, THERE)

    async def read(self, link: str) -> bytes:
        file = await self.open(link)
        whole = b"".join([piece async for piece in file.pieces])
        assert len(whole) == file.size_bytes
        return whole

    async def left(self) -> tuple[int, int]:
        """How many exports and pieces there are."""
        return (
            await self.house.count("account_exports"),
            await self.house.count("account_export_pieces"),
        )

    async def actions(self) -> list[str]:
        rows = await self.pool.fetch("select action from audit_log order by at, id")
        return [row["action"] for row in rows]


@pytest.fixture
async def office(pool: Pool) -> AsyncIterator[Office]:
    hasher = PasswordHasher(10)
    yield Office(House(pool, Clock(), hasher))
    hasher.close()


def unzip(whole: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(whole)) as zipped:
        assert zipped.testzip() is None
        return {name: msgspec.json.decode(zipped.read(name)) for name in zipped.namelist()}


async def code_of(call: Any) -> str:
    with pytest.raises(Refused) as refused:
        await call
    return refused.value.rejection.code


async def add_bookings(office: Office, who: Principal, count: int) -> None:
    user_id = UUID(bytes=who.user_id)
    await office.pool.execute(
        "with new as (insert into bookings (id, code, showtime_id, user_id, hold_id, status,"
        " total_minor, currency, created_at)"
        " select gen_random_uuid(), 'C' || n || $3, gen_random_uuid(), $1, gen_random_uuid(),"
        " 'confirmed', 1250, 'EUR', now() - n * interval '1 minute'"
        " from generate_series(1, $2::integer) n returning id, showtime_id), paid as ("
        " insert into payments (id, booking_id, method, status, amount_minor, currency, created_at)"
        " select gen_random_uuid(), id, 'demo', 'succeeded', 1250, 'EUR', now() from new)"
        " insert into booking_seats"
        " (booking_id, position, showtime_id, seat, category, price_minor)"
        " select id, 0, showtime_id, 'F7', 'regular', 1250 from new",
        user_id,
        count,
        user_id.hex,
    )


async def test_an_export_has_what_is_known_of_an_account_and_nothing_of_others(
    office: Office,
) -> None:
    who = await office.member(last_name="Lee")
    other = await office.member(email="eve@example.com", first_name="Eve")
    await add_bookings(office, who, 2)
    await add_bookings(office, other, 1)
    await office.pool.execute(
        "insert into booking_billing select b.id, u.last_name || ' Ltd', 'Main Street', '', now()"
        " from bookings b join users u on u.id = b.user_id"
    )
    await office.pool.execute(
        "insert into booking_notes (id, booking_id, author_id, text, written_at)"
        " select gen_random_uuid(), b.id, gen_random_uuid(), 'About ' || u.last_name, now()"
        " from bookings b join users u on u.id = b.user_id"
    )
    for to in ("Ann@Example.com", "eve@example.com"):
        await office.pool.execute(
            "insert into messages (id, dedupe_key, kind, recipient, language, status, created_at,"
            " send_at, next_try_at) values (gen_random_uuid(), $1, 'account_verification', $1,"
            " 'en', 'sent', $2, $2, $2)",
            to,
            office.now,
        )
    whole = await office.read(await office.make(who))
    files = unzip(whole)
    assert list(files) == [
        *("profile.json", "sessions.json", "links.json", "guests.json", "audit.json"),
        *("bookings.json", "mails.json", "mail_choices.json"),
    ]
    profile = files["profile.json"]
    assert (profile["email"], profile["first_name"], profile["last_name"]) == (
        *("Ann@Example.com", "Ann", "Lee"),
    )
    (session,) = files["sessions.json"]
    assert (session["address"], session["agent"]) == (HERE.address, HERE.agent)
    assert [row["action"] for row in files["audit.json"]] == ["export_requested"]
    assert [link["purpose"] for link in files["links.json"]] == ["verify"]
    assert len(files["bookings.json"]) == 2
    (booking, _) = files["bookings.json"]
    assert booking["seats"] == [
        {
            "seat": "F7",
            "category": "regular",
            "type": "adult",
            "price_minor": 1250,
            "given_back": False,
        }
    ]
    assert booking["payments"][0]["method"] == "demo"
    assert booking["billing"] == {"name": "Lee Ltd", "address": "Main Street", "tax_id": ""}
    (note,) = booking["notes"]
    assert (set(note), note["text"]) == ({"at", "text"}, "About Lee")
    assert [mail["to"] for mail in files["mails.json"]] == ["Ann@Example.com"]
    text = str(files).lower()
    assert "eve" not in text
    secrets = await office.pool.fetch(
        "select password_hash as secret from users union all"
        " select encode(refresh_digest, 'hex') from sessions union all"
        " select encode(digest, 'hex') from account_links"
    )
    assert len(secrets) == 6
    for row in secrets:
        assert row["secret"].lower() not in text


async def test_what_was_bought_as_a_guest_is_in_it_once_it_is_the_accounts(
    office: Office,
) -> None:
    who, guest = await office.member(), Principal(uuid4().bytes, "guest", bytes(16), 0.0)
    await add_bookings(office, guest, PAGE_ROWS + 1)
    await add_bookings(office, who, 1)
    await office.pool.execute(
        "insert into guests (id, created_at, expires_at, email, email_key, claimed_by, claimed_at)"
        " values ($1, $3, $4, 'ann@example.com', 'ann@example.com', $2, $3)",
        UUID(bytes=guest.user_id),
        UUID(bytes=who.user_id),
        office.now,
        office.now + timedelta(days=1),
    )
    files = unzip(await office.read(await office.make(who)))
    assert len({booking["id"] for booking in files["bookings.json"]}) == PAGE_ROWS + 2
    assert [one["email"] for one in files["guests.json"]] == ["ann@example.com"]


async def test_who_else_acted_on_an_account_is_not_told(office: Office) -> None:
    who = await office.member()
    await office.house.promote(str(UUID(bytes=who.user_id)), "customer")
    files = unzip(await office.read(await office.make(who)))
    by_admin = [row for row in files["audit.json"] if not row["by_yourself"]]
    assert by_admin
    assert all(row["address"] is row["request_id"] is None for row in by_admin)
    assert "actor_id" not in by_admin[0]


async def test_two_clicks_are_one_export_and_one_mail(office: Office) -> None:
    who = await office.member()
    jobs = await asyncio.gather(*(office.service.ask(who, HERE) for _ in range(5)))
    assert len({job.id for job in jobs}) == 1
    await office.yard.do_all(office.yard.node(office.kinds()))
    assert office.house.kinds().count("export") == 1
    assert (await office.actions()).count("export_requested") == 1


async def test_three_exports_a_day_are_made_and_no_more(office: Office) -> None:
    who = await office.member()
    for _ in range(PER_DAY):
        await office.make(who)
        office.pass_s(60)
    with pytest.raises(Refused) as refused:
        await office.service.ask(who, HERE)
    assert refused.value.rejection.code == "RATE_LIMITED"
    assert refused.value.rejection.details == {"retry_after_s": 86_400 - PER_DAY * 60}
    assert office.throttles.refused == {"exports": 1}
    assert await office.pool.fetchval("select count(*) from jobs") == PER_DAY
    office.pass_s(86_400)
    await office.make(who)


async def test_without_a_proven_address_nothing_is_made(office: Office) -> None:
    who = await office.member()
    await office.pool.execute("update users set email_verified = false")
    assert await code_of(office.service.ask(who, HERE)) == "FORBIDDEN"
    await office.pool.execute("delete from users")
    assert await code_of(office.service.ask(who, HERE)) == "NOT_FOUND"
    assert await office.pool.fetchval("select count(*) from jobs") == 0


async def test_what_else_goes_wrong_is_passed_on(office: Office) -> None:
    class Away(ExportsRepository):
        async def ask(self, *_values: Any, **_named: Any) -> Any:
            raise refuse("RETRY")

    who = await office.member()
    away = Away(office.pool, Cipher([b"k" * 32]), office.yard.jobs, office.post, new_id=uuid4)
    service = ExportsService(
        away, JobsService(office.yard.jobs), office.throttles, per_day=1, clock=office.house.clock
    )
    assert await code_of(service.ask(who, HERE)) == "RETRY"


async def test_a_link_is_good_for_seven_days_and_then_the_file_is_gone(office: Office) -> None:
    token = await office.make(await office.member())
    office.pass_s(7 * 86_400 - 1)
    await office.read(token)
    office.pass_s(1)
    assert await code_of(office.read(token)) == "INVALID_LINK"
    assert await office.exports.forget(office.now, 100) == 1
    assert await office.left() == (0, 0)


async def test_a_link_opens_its_own_file_only(office: Office) -> None:
    ann_, eve = await office.member(), await office.member(email="eve@example.com")
    of_ann, of_eve = await office.make(ann_), await office.make(eve)
    assert unzip(await office.read(of_ann))["profile.json"]["email"] == "Ann@Example.com"
    assert unzip(await office.read(of_eve))["profile.json"]["email"] == "eve@example.com"
    ann_id, ann_token = of_ann.split(" ")
    eve_id, _ = of_eve.split(" ")
    for wrong in ("", "x", ann_token[:-1], ann_token + "A", "é" * 40, ann_token.swapcase()):
        assert await code_of(office.read(f"{ann_id} {wrong}")) == "INVALID_LINK"
    assert await code_of(office.read(f"{eve_id} {ann_token}")) == "INVALID_LINK"


async def test_a_token_of_another_purpose_opens_nothing(office: Office) -> None:
    token = await office.make(await office.member())
    _, secret = token.split(" ")
    await office.pool.execute(
        "update account_exports set digest = $1", digest_of_link("reset", secret)
    )
    assert await code_of(office.read(token)) == "INVALID_LINK"


async def test_the_next_export_takes_the_place_of_the_one_before(office: Office) -> None:
    who = await office.member()
    first = await office.make(who)
    office.pass_s(1)
    second = await office.make(who)
    assert await code_of(office.read(first)) == "INVALID_LINK"
    await office.read(second)
    assert await office.house.count("account_exports") == 1


async def test_what_is_stored_is_sealed(office: Office) -> None:
    whole = await office.read(await office.make(await office.member()))
    rows = await office.pool.fetch("select sealed from account_export_pieces")
    assert whole[:30] not in b"".join(row["sealed"] for row in rows)


async def test_uses_of_a_link_are_in_the_audit_log_and_bounded(office: Office) -> None:
    token = await office.make(await office.member())
    for _ in range(DOWNLOADS_PER_HOUR):
        await office.read(token)
    assert await code_of(office.read(token)) == "RATE_LIMITED"
    row = await office.pool.fetchrow(
        "select actor_id, address, count(*) over () as count from audit_log"
        " where action = 'export_downloaded'"
    )
    assert row is not None
    assert (row["actor_id"], row["address"], row["count"]) == (
        *(None, THERE.address, DOWNLOADS_PER_HOUR),
    )


async def test_a_node_hands_out_a_few_files_at_a_time(office: Office) -> None:
    token = await office.make(await office.member())
    files = [await office.open(token) for _ in range(DOWNLOADS_AT_ONCE)]
    assert await code_of(office.open(token)) == "OVERLOADED"
    # One that nobody has read from gives its place back, as one does that was read to its end.
    await files[0].pieces.aclose()
    assert b"".join([piece async for piece in files[1].pieces])
    files += [await office.open(token) for _ in range(2)]
    assert await code_of(office.open(token)) == "OVERLOADED"


async def test_a_download_that_cannot_be_noted_gives_its_place_back(office: Office) -> None:
    token = await office.make(await office.member())

    class Away(ExportsRepository):
        async def note_download(self, *_values: Any) -> None:
            raise refuse("RETRY")

    away = Away(office.pool, Cipher([b"k" * 32]), office.yard.jobs, office.post, new_id=uuid4)
    service = ExportsService(
        away, JobsService(office.yard.jobs), office.throttles, per_day=1, clock=office.house.clock
    )
    for _ in range(DOWNLOADS_AT_ONCE + 1):
        export_id, secret = token.split(" ")
        assert await code_of(service.download(UUID(export_id), secret, THERE)) == "RETRY"


class Gate:
    """A feature that knows one thing, and tells it when the test lets it."""

    def __init__(self, pages: int = 1) -> None:
        self.reached = asyncio.Event()
        self.go = asyncio.Event()
        self.calls = 0
        self._pages = pages

    async def disclose(self, _user_id: UUID) -> AsyncIterator[PersonalFile]:
        self.calls += 1
        yield PersonalFile("gate.json", json_list(self._pages_of()))

    async def _pages_of(self) -> AsyncIterator[list[str]]:
        for _ in range(self._pages):
            yield ["known"]
        self.reached.set()
        await self.go.wait()


async def test_an_account_that_is_erased_while_it_is_exported_leaves_nothing(
    office: Office,
) -> None:
    who = await office.member()
    gate = Gate()
    job = await office.service.ask(who, HERE)
    node = office.yard.node(office.kinds(*office.disclosures, gate.disclose, piece_bytes=64))
    (claimed,) = await node.claim(1)
    working = asyncio.ensure_future(node.work(claimed))
    await gate.reached.wait()
    assert await office.house.count("account_export_pieces") > 0
    await office.pool.execute("update users set erase_at = $1", office.now)
    assert await office.house.erasure.erase_due(office.now, 10) == 1
    assert await office.left() == (0, 0)
    gate.go.set()
    await working
    assert await office.left() == (0, 0)
    assert (await office.yard.job(job.id)).status == "cancelled"
    assert "export" not in office.house.kinds()


async def test_erasure_and_the_end_of_an_export_come_one_after_the_other(office: Office) -> None:
    """In either order nothing is left, and nobody waits for the other in a circle."""
    for number in range(6):
        who = await office.member(email=f"ann{number}@example.com")
        gate = Gate()
        await office.service.ask(who, HERE)
        node = office.yard.node(office.kinds(*office.disclosures, gate.disclose, piece_bytes=64))
        (claimed,) = await node.claim(1)
        working = asyncio.ensure_future(node.work(claimed))
        await gate.reached.wait()
        await office.pool.execute("update users set erase_at = $1", office.now)
        gate.go.set()
        for _ in range(number):
            await asyncio.sleep(0)
        while not await office.house.erasure.erase_due(office.now, 10):
            # It has been locked by the export, and comes next.
            pass
        await working
        assert await office.left() == (0, 0)


async def test_a_link_of_an_erased_account_opens_nothing(office: Office) -> None:
    token = await office.make(await office.member())
    await office.pool.execute("update users set erase_at = $1", office.now)
    file = await office.open(token)
    await office.house.erasure.erase_due(office.now, 10)
    assert await code_of(office.read(token)) == "INVALID_LINK"
    with pytest.raises(Refused, match="NOT_FOUND"):
        _ = [piece async for piece in file.pieces]
    assert await office.left() == (0, 0)


async def test_what_a_thief_of_the_address_had_exported_goes_with_the_undo(office: Office) -> None:
    house = office.house
    made = await house.accounts.register(ann(), HERE)
    await office.pool.execute("update users set email_verified = true")
    who = await office.principal(made)
    before = await office.make(who)
    office.pass_s(1)
    change = ChangeEmailInput(email="thief@example.com", password="correct horse")
    await house.credentials.change_email(who, change, THERE)
    await house.mails.round()
    changed = house.link("account_email_change")
    await house.credentials.use_address_link(changed, THERE)
    undo = house.link("account_email_changed")
    office.pass_s(1)
    under_way = await office.service.ask(who, THERE)
    await house.credentials.use_address_link(undo, HERE)
    assert (await office.yard.job(under_way.id)).status == "cancelled"
    assert await office.yard.do_all(office.yard.node(office.kinds())) == 0
    # The owner's own was there before.
    await office.read(before)


async def test_a_file_that_a_thief_of_the_address_has_is_gone_after_the_undo(
    office: Office,
) -> None:
    house = office.house
    made = await house.accounts.register(ann(), HERE)
    await office.pool.execute("update users set email_verified = true")
    who = await office.principal(made)
    change = ChangeEmailInput(email="thief@example.com", password="correct horse")
    await house.credentials.change_email(who, change, THERE)
    await house.mails.round()
    await house.credentials.use_address_link(house.link("account_email_change"), THERE)
    undo = house.link("account_email_changed")
    office.pass_s(1)
    stolen = await office.make(who)
    await house.credentials.use_address_link(undo, HERE)
    assert await code_of(office.read(stolen)) == "INVALID_LINK"
    assert await office.left() == (0, 0)


async def test_a_job_of_an_account_that_is_gone_fails_for_good(office: Office) -> None:
    who = await office.member()
    job = await office.service.ask(who, HERE)
    await office.pool.execute("update users set deleted_at = now()")
    await office.yard.do_all(office.yard.node(office.kinds()))
    failed = await office.yard.job(job.id)
    assert (failed.status, failed.reason) == ("failed", "This account no longer exists.")
    nobodys = await office.yard.enqueue(KIND)
    await office.yard.do_all(office.yard.node(office.kinds()))
    assert (await office.yard.job(nobodys.id)).status == "failed"


async def test_an_attempt_that_was_cut_off_is_begun_anew_and_leaves_nothing(
    office: Office,
) -> None:
    who = await office.member()
    gate = Gate()
    job = await office.service.ask(who, HERE)
    kinds = office.kinds(*office.disclosures, gate.disclose, piece_bytes=64)
    node = office.yard.node(kinds)
    (claimed,) = await node.claim(1)
    working = asyncio.ensure_future(node.work(claimed))
    await gate.reached.wait()
    gate.go.set()
    working.cancel()
    await asyncio.wait({working})
    assert await office.yard.do_all(office.yard.node(kinds, "two")) == 1
    done = await office.yard.job(job.id)
    assert (done.status, done.done, done.total) == ("done", 4, 4)
    assert unzip(await office.read(office.token()))["gate.json"] == ["known"]
    assert await office.house.count("account_exports") == 1


async def test_an_export_whose_end_was_not_noted_is_not_made_twice(office: Office) -> None:
    """As after `kill -9` between the file and the note that the job is done."""
    who = await office.member()
    gate = Gate()
    gate.go.set()
    job = await office.service.ask(who, HERE)
    kinds = office.kinds(gate.disclose)
    await office.yard.do_all(office.yard.node(kinds))
    await office.pool.execute("update jobs set status = 'running', ended_at = null, result = null")
    office.pass_s(LEASE_S)
    assert await office.yard.do_all(office.yard.node(kinds, "two")) == 1
    again = await office.yard.job(job.id)
    assert again.status == "done"
    assert again.result is not None
    assert again.result["size_bytes"] > 0
    assert gate.calls == 1
    assert office.house.kinds().count("export") == 1


async def test_what_does_not_fit_into_one_file_is_told(office: Office) -> None:
    who = await office.member()
    job = await office.service.ask(who, HERE)
    await office.yard.do_all(office.yard.node(office.kinds(size_limit_bytes=100)))
    failed = await office.yard.job(job.id)
    assert (failed.status, failed.reason) == ("failed", TOO_LARGE)
    assert await office.exports.forget(office.now, 100) == 0
    office.pass_s(UNFINISHED_KEPT.total_seconds() + 1)
    assert await office.exports.forget(office.now, 100) == 1


async def test_a_large_account_is_never_in_memory_whole(office: Office) -> None:
    who = await office.member()
    count = 10_000
    await add_bookings(office, who, count)
    job = await office.service.ask(who, HERE)
    node = office.yard.node(office.kinds())
    tracemalloc.start()
    try:
        await office.yard.do_all(node)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (await office.yard.job(job.id)).status == "done"
    with zipfile.ZipFile(io.BytesIO(await office.read(office.token()))) as zipped:
        size_bytes = zipped.getinfo("bookings.json").file_size
        bookings = msgspec.json.decode(zipped.read("bookings.json"))
    assert len({booking["id"] for booking in bookings}) == count
    assert count > 50 * PAGE_ROWS
    assert size_bytes > 5_000_000
    assert peak_bytes < size_bytes / 2


async def test_expired_exports_go_a_bounded_number_at_a_time(office: Office) -> None:
    for number in range(12):
        await office.pool.execute(
            "insert into account_exports (id, user_id, created_at) values (gen_random_uuid(),"
            " (select id from users limit 1), $1)"
            if number
            else "insert into users (id, email, email_key, password_hash, created_at)"
            " values (gen_random_uuid(), 'a@b', 'a@b', 'x', $1)",
            office.now - timedelta(days=3),
        )
    assert await office.exports.forget(office.now, 4) == 4
    assert await office.exports.forget(office.now, 100) == 7
    assert await office.exports.forget(office.now, 100) == 0
