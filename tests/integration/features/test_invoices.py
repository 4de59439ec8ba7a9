"""Documents on Postgres: numbers without gaps, one for each event, and none that ever changes."""

from __future__ import annotations

import asyncio
import random
import sys
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import msgspec
import pytest
from structlog.testing import capture_logs

from cinema.domain.rejections import Refused, refuse
from cinema.features.accounts.erasure_store import ErasureRepository
from cinema.features.accounts.letters import no_post
from cinema.features.invoices import store
from cinema.features.invoices.personal_store import PAUSE_S, TRIES, InvoiceFacts
from cinema.features.invoices.rules import BACKOFF_LIMIT_S
from cinema.features.invoices.shapes import Buyer, Document
from tests.integration.features import invoice_process
from tests.integration.features.invoices_house import Booked, Till

pytestmark = pytest.mark.postgres


@pytest.fixture
def till(pool: asyncpg.Pool[asyncpg.Record]) -> Till:
    return Till(pool)


@pytest.mark.parametrize("seed", range(3))
async def test_any_history_has_an_invoice_a_booking_and_a_correction_a_refund(
    till: Till, seed: int
) -> None:
    """Two nodes issue at any time between; a document that is told of twice is made once."""
    draw = random.Random(seed)
    showtime_ids = [*await till.showtimes(), *await till.showtimes()]
    nodes = [till.node(), till.node()]
    for _ in range(60):
        await till.anything(draw, showtime_ids)
        if draw.random() < 0.3:
            await asyncio.gather(*(node.round() for node in nodes))
    await till.issue_all()
    await till.check()
    assert len(await till.documents()) == sum(till.counts.issued.values())


@pytest.mark.parametrize("seed", range(2))
async def test_numbers_have_no_gaps_though_nobody_waits_for_the_other(
    till: Till, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the lock that lets one node issue at a time the counters themselves decide."""
    monkeypatch.setattr(store, "ONE_AT_A_TIME", "select $1::bigint > 0")
    draw = random.Random(seed)
    showtime_ids = [*await till.showtimes(), *await till.showtimes()]
    for _ in range(40):
        await till.anything(draw, showtime_ids)
    nodes = [till.node() for _ in range(4)]
    for _ in range(3):
        await asyncio.gather(*(node.round() for node in nodes), return_exceptions=True)
        await till.anything(draw, showtime_ids)
    await till.issue_all()
    till.now += timedelta(seconds=BACKOFF_LIMIT_S)
    await till.issue_all()
    await till.check()


async def test_a_process_that_is_killed_with_its_numbers_taken_leaves_no_gap(
    till: Till, database: str
) -> None:
    (showtime_id, *_) = await till.showtimes()
    for _ in range(10):
        await till.confirm(showtime_id, 1000)
    first = await _started(database)
    assert first.stdout is not None
    assert await first.stdout.readline() == b"issued 3\n"
    await _killed(first)
    given = await till.numbers()
    staying = await _started(database, "stay")
    assert staying.stdout is not None
    assert await staying.stdout.readline() == b"numbers taken\n"
    await _killed(staying)
    assert await till.numbers() == given
    # The transaction ends with its connection, as soon as Postgres notices.
    async with asyncio.timeout(30):
        while await till.store().due(1):
            await till.issue_all()
    await till.check()


async def test_two_processes_give_each_number_once(till: Till, database: str) -> None:
    till.now = datetime.now(UTC) - timedelta(minutes=1)
    showtime_ids = await till.showtimes()
    draw = random.Random(7)
    for _ in range(60):
        await till.anything(draw, showtime_ids)
    processes = [await _started(database) for _ in range(2)]
    said = [(await process.communicate())[0] for process in processes]
    assert all(text.endswith(b"nothing is due\n") for text in said)
    await till.check()


async def _started(database: str, *more: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", invoice_process.__name__, database, *more),
        stdout=asyncio.subprocess.PIPE,
    )


async def _killed(process: asyncio.subprocess.Process) -> None:
    process.kill()
    await process.wait()


async def test_a_document_that_cannot_be_made_keeps_no_other(till: Till) -> None:
    (showtime_id, *_) = await till.showtimes()
    (lost_id, *_) = await till.showtimes()
    await till.set_cinema(lost_id, time_zone="Nowhere/Land")
    await till.confirm(lost_id, 1000)
    await till.confirm(showtime_id, 1000)
    with capture_logs() as logs:
        await till.issue_all()
    assert [one["event"] for one in logs] == ["invoice_not_issued"]
    assert [one.total.amount for one in await till.documents()] == [1000]
    state = await till.store().waiting()
    assert (state.count, state.failing, till.counts.failures) == (1, 1, 1)
    # It is tried again later, and once it can be made it is.
    assert await till.store().due(10) == []
    await till.set_cinema(lost_id, time_zone="Europe/Berlin")
    till.now += timedelta(seconds=10)
    await till.issue_all()
    assert len(await till.documents()) == 2
    await till.check()


async def test_a_refund_that_does_not_fit_waits_for_somebody_to_look(till: Till) -> None:
    (showtime_id, *_) = await till.showtimes()
    booked = await till.confirm(showtime_id, 1000, 500)
    await till.give_back(booked, next(iter(booked.left)))
    await till.pool.execute(
        "update invoices_due set what = jsonb_set(what, '{seats}', '[[\"B1\", 1000]]')"
        " where what <> '{}'"
    )
    with capture_logs() as logs:
        await till.issue_all()
    assert [one["reason"] for one in logs] == ["seats that were not invoiced: B1"]
    assert [one.kind for one in await till.documents()] == ["invoice"]
    error = await till.pool.fetchval("select last_error from invoices_due")
    assert error == "seats that were not invoiced: B1"


async def test_what_an_issued_document_says_never_changes(till: Till) -> None:
    (showtime_id, *_) = await till.showtimes()
    await till.set_cinema(showtime_id, legal_name="Aurora GmbH", tax_rates='{"reduced": 700}')
    await till.pool.execute(
        'update price_books set settings = settings || \'{"ticket_tax": "reduced"}\''
    )
    booked = await till.confirm(showtime_id, 1250)
    await till.issue_all()
    before = await till.documents()
    assert (before[0].seller.name, before[0].showtime.film) == ("Aurora GmbH", "Stalker")
    assert [(tax.rate, tax.tax.amount) for tax in before[0].taxes] == [(700, 82)]
    await till.set_cinema(showtime_id, legal_name="Other GmbH", tax_rates="{}")
    await till.pool.execute("update movies set title = 'Solaris', sort_title = 'solaris'")
    assert await till.documents() == before
    await till.give_back(booked)
    await till.issue_all()
    corrected = (await till.documents())[-1]
    assert corrected.taxes == before[0].taxes


@pytest.mark.parametrize(
    "statement",
    [
        "update invoices set number = 'X-1'",
        "update invoices set content = replace(content, 'Stalker', 'Solaris')",
        "update invoices set content = without_buyer(content), total_minor = 1",
        "update invoices set content = without_buyer(replace(content, '1250', '1'))",
        "delete from invoices",
        "truncate invoices cascade",
        "update invoice_counters set last = last - 1",
        "update invoice_counters set last = last",
        "delete from invoice_counters",
        "truncate invoice_counters",
    ],
)
async def test_nothing_is_changed_or_deleted(till: Till, statement: str) -> None:
    (showtime_id, *_) = await till.showtimes()
    await till.confirm(showtime_id, 1250)
    await till.confirm(showtime_id, 1250)
    await till.issue_all()
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="never change"):
        await till.pool.execute(statement)
    await till.check()


async def test_another_node_that_issues_is_left_to_it(
    till: Till, pool: asyncpg.Pool[asyncpg.Record]
) -> None:
    (showtime_id, *_) = await till.showtimes()
    await till.confirm(showtime_id, 1250)
    due = await till.store().due(10)
    async with pool.acquire() as other, other.transaction():
        await other.execute("select pg_advisory_xact_lock($1)", store.LOCK_NUMBER)
        assert not (await till.store().issue(due)).ours
    assert (await till.store().issue(due)).ours
    await till.check()
    assert not (await till.store().issue(due)).issued


async def test_how_late_documents_are_is_known(till: Till) -> None:
    (showtime_id, *_) = await till.showtimes()
    await till.confirm(showtime_id, 1250)
    till.now += timedelta(seconds=90)
    till.counts.note(await till.store().waiting(), till.now)
    assert (till.counts.waiting, till.counts.late_s) == (1, 90.0)
    await till.issue_all()
    till.counts.note(await till.store().waiting(), till.now)
    assert (till.counts.waiting, till.counts.late_s) == (0, 0.0)


class _Printer:
    """Prints documents as their text; refuses as often as it was told to before."""

    def __init__(self, busy: int = 0) -> None:
        self.busy = busy
        self.paused: list[float] = []

    async def print(self, content: bytes, language: str) -> bytes:
        assert language == "", "that of the customer"
        if self.busy:
            self.busy -= 1
            raise refuse("OVERLOADED")
        return b"PDF of " + content

    async def pause(self, seconds: float) -> None:
        self.paused.append(seconds)


async def _exported(till: Till, user_id: UUID, printer: _Printer) -> dict[str, bytes]:
    facts = InvoiceFacts(till.pool, printer.print, printed_limit=2, pause=printer.pause)
    return {
        file.name: b"".join([piece async for piece in file.pieces])
        async for file in facts.disclose(user_id)
    }


async def test_somebodys_documents_are_in_their_export_and_the_latest_are_printed(
    till: Till,
) -> None:
    (showtime_id, *_) = await till.showtimes()
    ada = till.new_id()
    first, booked = [await till.confirm(showtime_id, 1000, user_id=ada) for _ in range(2)]
    await till.confirm(showtime_id, 700)
    await till.give_back(booked)
    await till.issue_all()
    printer = _Printer(busy=2)
    files = await _exported(till, ada, printer)
    documents = await till.documents(first, booked)
    assert msgspec.json.decode(files.pop("invoices.json"), type=list[Document]) == documents
    assert files == {
        f"invoices/{one.number}-{one.id}.pdf": b"PDF of " + msgspec.json.encode(one)
        for one in documents[1:]
    }
    assert printer.paused == [PAUSE_S, PAUSE_S]


async def test_export_is_put_off_while_nothing_can_be_printed(till: Till) -> None:
    (showtime_id, *_) = await till.showtimes()
    ada = till.new_id()
    await till.confirm(showtime_id, 1000, user_id=ada)
    await till.issue_all()
    printer = _Printer(busy=TRIES)
    with pytest.raises(Refused):
        await _exported(till, ada, printer)
    assert len(printer.paused) == TRIES - 1


FIRM = Buyer(name="Lovelace Ltd", address="12 St James's Square", tax_number="GB123456789")
AT_HOME = Buyer(name="Ada Lovelace", address='Ockham "Park" 1\nSurrey')


async def _customer(till: Till) -> UUID:
    """An account with a proven address that is due to be erased."""
    user_id = till.new_id()
    await till.pool.execute(
        "insert into users (id, email, email_key, email_verified, password_hash, first_name,"
        " last_name, role, created_at, erase_at)"
        " values ($1, 'ada@example.com', 'ada@example.com', true, 'none', 'Ada', 'Lovelace',"
        " 'customer', now(), $2)",
        user_id,
        till.now,
    )
    return user_id


async def _guest(till: Till, claimed_by: UUID | None) -> UUID:
    guest_id = till.new_id()
    await till.pool.execute(
        "insert into guests (id, email, email_key, claimed_by, claimed_at, created_at, expires_at)"
        " values ($1, 'ada@example.com', 'ada@example.com', $2, $4, $3, $3::timestamptz + '1 day')",
        guest_id,
        claimed_by,
        till.now,
        claimed_by and till.now,
    )
    return guest_id


async def _bill(till: Till, booked: Booked, buyer: Buyer) -> None:
    await till.pool.execute(
        "insert into booking_billing values ($1, $2, $3, $4, now())",
        *(booked.id, buyer.name, buyer.address, buyer.tax_number),
    )


async def _contents(till: Till) -> list[str]:
    rows = await till.pool.fetch("select content from invoices order by id")
    return [row["content"] for row in rows]


def _erasing(till: Till) -> ErasureRepository:
    return ErasureRepository(till.pool, no_post, new_id=till.new_id)


async def test_documents_of_an_erased_account_name_nobody(till: Till) -> None:
    """Of the account and of its guests, but for a business; nothing else of them changes."""
    (showtime_id, *_) = await till.showtimes()
    ada = await _customer(till)
    plain, home, firm = [await till.confirm(showtime_id, 1250, user_id=ada) for _ in range(3)]
    guests = [await _guest(till, claimed_by) for claimed_by in (ada, None)]
    claimed, unclaimed = [await till.confirm(showtime_id, 700, user_id=one) for one in guests]
    others = await till.confirm(showtime_id, 900)
    for booked in (home, claimed, unclaimed, others):
        await _bill(till, booked, AT_HOME)
    await _bill(till, firm, FIRM)
    await till.issue_all()
    await till.give_back(plain)
    await till.issue_all()
    before, contents = await till.documents(), await _contents(till)
    assert {one.buyer.name for one in before} == {"Ada Lovelace", FIRM.name}
    stays = {firm.id: FIRM, others.id: AT_HOME}

    # The showtimes are over by then.
    later = datetime.now(UTC) + timedelta(days=30)
    assert await _erasing(till).erase_due(later, 10) == 1
    nobody = Buyer(name="")
    assert await till.documents() == [
        msgspec.structs.replace(one, buyer=stays.get(one.booking.id, nobody)) for one in before
    ]
    was, now = [f'"buyer":{msgspec.json.encode(buyer).decode()}' for buyer in (AT_HOME, nobody)]
    places = [at for at, one in enumerate(before) if one.booking.id in {home.id, claimed.id}]
    changed = await _contents(till)
    assert [changed[at] for at in places] == [contents[at].replace(was, now) for at in places]

    for booked in (home, firm):
        await till.give_back(booked)
    await till.issue_all()
    assert [one.buyer for one in await till.documents(home, firm)] == [nobody, FIRM, nobody, FIRM]
    await till.check()


async def test_document_that_is_being_made_is_erased_with_the_others(
    till: Till, pool: asyncpg.Pool[asyncpg.Record]
) -> None:
    (showtime_id, *_) = await till.showtimes()
    await till.confirm(showtime_id, 1250, user_id=await _customer(till))
    later = datetime.now(UTC) + timedelta(days=30)
    async with pool.acquire() as issuing, issuing.transaction():
        await issuing.execute("select pg_advisory_xact_lock($1)", store.LOCK_NUMBER)
        erasing = asyncio.ensure_future(_erasing(till).erase_due(later, 10))
        async with asyncio.timeout(30):
            while not await pool.fetchval(
                "select count(*) from pg_locks where locktype = 'advisory' and not granted"
                " and database = (select oid from pg_database where datname = current_database())"
            ):
                assert not erasing.done()
        # Others still see the name: the erasure has not been committed.
        assert await pool.fetchval("select count(*) from users where first_name = 'Ada'") == 1
    assert await erasing == 1
    await till.issue_all()
    assert [one.buyer for one in await till.documents()] == [Buyer(name="")]
