"""Following a server: what is missed, what is begun anew, what goes, what is left by a crash."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from cinema.backups import follow, stream
from cinema.backups.check import check_folder
from cinema.backups.errors import BackupError
from cinema.backups.folder import BackupFolder
from cinema.backups.listing import list_backups
from cinema.backups.programs import Source
from cinema.backups.pruning import prune
from cinema.backups.server import connected, read_facts
from cinema.local.embedded_postgres import running_address
from tests.integration.backups.house import House, until
from tests.support.server_process import ROOT

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

SLOT = "select slot_name from pg_replication_slots"


def streams(house: House) -> list[str]:
    return sorted(path.name for path in house.folder.wal.iterdir())


async def test_a_base_backup_is_listed_with_the_moments_it_leads_to(house: House) -> None:
    base = await house.take()
    (lone,) = list_backups(house.folder, datetime.now(UTC)).backups
    assert (lone.id, lone.since, lone.until) == (base.id, base.ended_at, None)
    async with house.following():
        late = await house.write("late")
    listed = list_backups(house.folder, datetime.now(UTC))
    assert listed.backups[-1].until is not None
    assert listed.backups[-1].until > late
    assert not any(one.hole for one in listed.backups)
    assert listed.behind_s is not None
    assert listed.behind_s < 60
    assert not await check_folder(house.folder)


@pytest.mark.parametrize("what", ["changed", "gone", "strange", "log gone", "manifest changed"])
async def test_whatever_is_wrong_with_a_base_backup_is_found(house: House, what: str) -> None:
    data = house.folder.data_of(await house.take())
    assert not await check_folder(house.folder)
    victim = data / "PG_VERSION"
    match what:
        case "changed":
            victim.write_bytes(b"19\n")
        case "gone":
            victim.unlink()
        case "strange":
            (data / "base" / "stranger").write_text("boo")
        case "log gone":
            next((data / "pg_wal").glob("0*")).unlink()
        case "manifest changed":
            manifest = data / "backup_manifest"
            manifest.write_text(manifest.read_text().replace("PG_VERSION", "PG_VERSIOM"))
    assert len(await check_folder(house.folder)) == 1


async def test_damaged_log_and_uploads_are_found(house: House) -> None:
    house.uploads.mkdir()
    (house.uploads / "poster.txt").write_text("poster")
    async with house.following():
        await house.archived()
    # The newest: one that was archived before the base backup is not needed, and is not read.
    segment = max(path for path in house.folder.wal.glob("*/0*") if not path.suffix)
    os.truncate(segment, 5)
    stored = next(house.folder.uploads.glob("objects/*/*"))
    stored.write_text("paster")
    problems = await check_folder(house.folder)
    assert len(problems) == 2
    assert "has 5 bytes" in problems[0]
    assert f"upload {stored.name} is damaged" in problems[1]


async def test_an_interrupted_base_backup_is_none_and_the_next_one_removes_it(
    house: House,
) -> None:
    await house.take()
    left = house.folder.base / "20200101T000000Z.incomplete"
    left.mkdir()
    (left / "part").write_text("half")
    assert len(house.folder.bases()) == 1
    await next_second()
    await house.take()
    assert not left.exists()
    assert len(house.folder.bases()) == 2


async def test_a_cancelled_base_backup_leaves_nothing(house: House) -> None:
    taking = asyncio.create_task(house.take())

    async def begun() -> bool:
        return house.folder.base.exists() and any(house.folder.base.glob("*/postgres/base"))

    await until(begun)
    taking.cancel()
    with suppress(asyncio.CancelledError):
        await taking
    assert not any(house.folder.base.iterdir())
    assert not [one for one in psutil.Process().children() if "basebackup" in one.name()]
    await house.take()


async def test_a_disk_that_fills_up_leaves_no_backup(house: House) -> None:
    with file_size_limit(1 << 18), pytest.raises(BackupError, match="pg_basebackup failed"):
        await house.take()
    assert not any(house.folder.base.iterdir())
    await house.take()


@contextmanager
def file_size_limit(limit_bytes: int) -> Iterator[None]:
    """No longer files for us and what we start: to a program, much like a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)


async def test_one_backup_at_a_time_and_one_database_a_folder(house: House, tmp_path: Path) -> None:
    await house.take()
    with house.folder.locked(), pytest.raises(BackupError, match="another backup or restore"):
        await house.take()
    other = House(tmp_path / "other")
    other.data_dir.mkdir(parents=True)
    other.folder = house.folder
    try:
        await other.start()
        with pytest.raises(BackupError, match="backups of another database"):
            await other.take()
    finally:
        await other.stop()
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "thesis.txt").write_text("years of work")
    house.folder = BackupFolder(strange)
    with pytest.raises(BackupError, match="holds other files"):
        await house.take()
    with pytest.raises(BackupError, match="holds no backups"):
        list_backups(house.folder, datetime.now(UTC))


async def test_nothing_is_missed_while_nobody_follows(house: House) -> None:
    async with house.following():
        await house.archived()
    for name in "abc":
        await house.write(name)
        await house.ask("select pg_switch_wal()")
    await house.ask("checkpoint")
    async with house.following():
        await house.write("d")
    assert len(streams(house)) == 1
    assert len(house.folder.bases()) == 1
    await house.stop()
    await house.restore()
    assert await house.kept() == ["a", "b", "c", "d"]


async def test_a_lost_slot_begins_a_new_stream_with_a_base_backup_of_its_own(
    house: House,
) -> None:
    async with house.following():
        await house.archived()
        early = await house.write("early")
    await house.ask("select pg_drop_replication_slot(slot_name) from pg_replication_slots")
    for _ in range(3):
        await house.write("missed")
        await house.ask("select pg_switch_wal()")
    await house.ask("checkpoint")
    async with house.following():

        async def there() -> bool:
            return len(house.folder.bases()) == 2

        await until(there)
        await house.write("late")
    assert len(streams(house)) == 2
    assert list_backups(house.folder, datetime.now(UTC)).backups[0].hole is not None
    await house.stop()
    await house.restore()
    assert await house.kept() == ["early", "missed", "missed", "missed", "late"]
    await house.stop()
    await house.restore(early, timeline=1, old="older")
    assert await house.kept() == ["early"]


async def test_a_server_that_went_back_without_a_restore_is_not_followed(
    house: House,
) -> None:
    async with house.following():
        await house.archived()
        await house.stop()
        copy = house.root / "copy"
        await asyncio.to_thread(subprocess.run, ["cp", "-a", house.data, copy], check=True)
        await house.start()
        await house.archived()
        for _ in range(3):
            await house.write("lost")
    await house.stop()
    house.data.rename(house.root / "gone")
    copy.rename(house.data)
    await house.start()
    before = [path.stat().st_mtime_ns for path in sorted(house.folder.wal.glob("*/*"))]
    await assert_refused(house, "put back by other means")
    assert before == [path.stat().st_mtime_ns for path in sorted(house.folder.wal.glob("*/*"))]


async def assert_refused(house: House, why: str) -> None:
    """Nothing is followed, for this reason."""
    async with connected(house.source) as connection:
        facts = await read_facts(connection)
        with pytest.raises(BackupError, match=why):
            await stream.open_stream(connection, house.folder, facts)


async def test_a_restarted_server_is_followed_again(house: House) -> None:
    async with house.following():
        await house.archived()
        await house.write("before")
        await house.stop()
        await house.start()
        await house.write("after")
    assert len(streams(house)) == 1
    await house.stop()
    await house.restore()
    assert await house.kept() == ["before", "after"]


async def test_old_base_backups_go_with_the_log_that_only_they_needed(house: House) -> None:
    async with house.following():
        await house.archived()
        for _ in range(2):
            await house.ask("select pg_switch_wal()")
            await house.write("more")
        await house.archived()
    before = len(list(house.folder.wal.glob("*/0*")))
    await next_second()
    await house.take()
    await next_second()
    last = await house.take()
    pruned = prune(house.folder, 2)
    assert len(pruned.bases) == 1
    assert pruned.segments > 0
    assert len(list(house.folder.wal.glob("*/0*"))) == before - pruned.segments
    assert house.folder.bases()[-1] == last
    async with house.following():
        await house.write("late")
    assert len(house.folder.bases()) == 2
    await house.stop()
    await house.restore()
    assert await house.kept() == ["more", "more", "late"]


async def next_second() -> None:
    """Backups are named for their second."""
    second = int(datetime.now(UTC).timestamp())

    async def later() -> bool:
        return int(datetime.now(UTC).timestamp()) > second

    await until(later)


async def test_two_cannot_follow_into_one_folder(house: House) -> None:
    async with house.following():
        await house.archived()
        with pytest.raises(BackupError, match="another backup"), house.folder.locked("wal.lock"):
            pass
        await assert_refused(house, "another `cinema backup` follows")


async def test_a_killed_follower_leaves_no_process_and_its_successor_goes_on(
    house: House,
) -> None:
    victim = subprocess.Popen(  # noqa: ASYNC220 - it only starts
        [sys.executable, "-P", "-m", "cinema", "backup", "--follow", "--to", house.folder.root],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DATA_DIR": str(house.data_dir)},
        stderr=subprocess.DEVNULL,
    )
    try:
        await house.archived()
        (receiver,) = psutil.Process(victim.pid).children()
        await house.write("one")
    finally:
        victim.kill()
        victim.wait()

    async def gone() -> bool:
        return not receiver.is_running() or receiver.status() == psutil.STATUS_ZOMBIE

    await until(gone)
    await house.write("two")
    async with house.following():
        await house.write("three")
    assert len(streams(house)) == 1
    await house.stop()
    await house.restore()
    assert await house.kept() == ["one", "two", "three"]


async def test_a_forgotten_folder_costs_the_server_nothing(house: House) -> None:
    async with house.following():
        await house.archived()
        async with connected(house.source) as connection:
            with pytest.raises(BackupError, match="stop what follows first"):
                await stream.drop_slot(connection, house.folder.archive().id)
    assert await house.ask(SLOT) is not None
    async with connected(house.source) as connection:
        await stream.drop_slot(connection, house.folder.archive().id)
    assert await house.ask(SLOT) is None


async def test_an_archive_that_does_not_keep_up_says_so(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "FLUSH_TIMEOUT_S", 0.2)
    warned: list[str] = []

    class Log:
        def warning(self, event: str, **_: object) -> None:
            warned.append(event)

        def info(self, *_: object, **__: object) -> None:
            return None

    async with house.following():
        await house.archived()
        monkeypatch.setattr(follow, "log", Log())
        (receiver,) = [one for one in psutil.Process().children() if "receivewal" in one.name()]
        receiver.suspend()

        async def lagged() -> bool:
            return follow.ARCHIVE_LAGGED in warned

        await until(lagged)
        receiver.resume()


def test_a_password_is_in_the_environment_and_not_on_the_command_line() -> None:
    source = Source("postgresql://me:s%40cret@db.example:5433/cinema?sslmode=require")
    address, environment = source.for_programs()
    assert address == "postgresql://me@db.example:5433/cinema?sslmode=require"
    assert environment["PGPASSWORD"] == "s@cret"
    assert "cret" not in repr(source)
    address, environment = Source("postgresql:///cinema?host=/s&password=x&user=me").for_programs()
    assert ("password" in address, environment["PGPASSWORD"]) == (False, "x")
    assert "PGPASSWORD" not in Source("postgresql://me@/cinema").for_programs()[1]


async def test_a_database_without_cinemas_tables_is_not_backed_up(tmp_path: Path) -> None:
    empty = House(tmp_path)
    try:
        await empty.start()
        assert running_address(empty.data_dir) is not None
        with pytest.raises(BackupError, match="no tables of cinema"):
            await empty.take()
    finally:
        await empty.stop()
    assert running_address(empty.data_dir) is None


async def test_a_segment_that_was_only_being_prepared_stops_nothing(house: House) -> None:
    async with house.following():
        await house.archived()
        await house.write("one")
    (partial,) = house.folder.wal.glob("*/*.partial")
    number = int(partial.stem, 16) + 1
    await house.ask("select pg_switch_wal()")
    async with house.following():
        pass
    for left in house.folder.wal.glob("*/*.partial"):
        left.unlink()
    unprepared = partial.with_name(f"{number:024X}.partial")
    unprepared.write_bytes(bytes(1 << 18))
    assert not await check_folder(house.folder)
    async with house.following():
        await house.write("two")
    assert unprepared.stat().st_size == 1 << 20
    await house.stop()
    await house.restore()
    assert await house.kept() == ["one", "two"]
