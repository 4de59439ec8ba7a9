"""Restoring to a moment and to the end, over and over, and what is refused."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from cinema.backups import restore as restoring
from cinema.backups.errors import BackupError
from cinema.backups.folder import BackupFolder
from cinema.backups.plan import plan_restore
from cinema.backups.restore import RestorePlaces
from cinema.domain.epochs import EPOCHS_PER_ERA
from cinema.domain.membership import View
from cinema.local.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError
from cinema.storage.database.pool import open_pool
from cinema.storage.membership.views import PostgresViews
from tests.integration.backups.house import House, until

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def whole_segments(folder: BackupFolder) -> dict[str, str]:
    return {name: one for name, one in digests(folder.wal).items() if len(Path(name).name) == 24}


async def test_a_base_backup_alone_brings_back_what_was_there(house: House) -> None:
    await house.write("before")
    await house.take()
    await house.write("after")
    await house.stop()
    done = await house.restore()
    assert await house.kept() == ["before"]
    assert (done.timeline, done.showtimes) == (2, 10)


async def test_every_moment_since_the_base_backup_can_be_restored(house: House) -> None:
    async with house.following():
        await house.archived()
        moments = {name: await house.write(name) for name in ("one", "two", "three")}
        await house.ask("select pg_switch_wal()")
        await house.write("four")
    await house.stop()
    await house.restore(moments["two"])
    assert await house.kept() == ["one", "two"]
    await house.stop()
    await house.restore(moments["three"], old="older")
    assert await house.kept() == ["one", "two", "three"]
    await house.stop()
    await house.restore(timeline=1, old="oldest")
    assert await house.kept() == ["one", "two", "three", "four"]


async def test_a_crashed_servers_last_commits_are_in_the_end_of_the_archive(house: House) -> None:
    async with house.following():
        await house.archived()
        for number in range(50):
            await house.write(str(number))
    await house.stop()
    await house.restore()
    assert len(await house.kept()) == 50


async def test_a_restored_database_fences_whatever_its_lost_future_left(house: House) -> None:
    epochs = "select array_agg(epoch) from showtime_heads"
    await house.take()
    before = await house.ask(epochs)
    await house.stop()
    await house.restore()
    after = await house.ask(epochs)
    assert max(before) < EPOCHS_PER_ERA
    assert set(after) == {2 * EPOCHS_PER_ERA}
    assert await house.ask("select count(*) from showtime_heads where released") == 0
    await house.take()
    await house.stop()
    await house.restore(old="older")
    assert set(await house.ask(epochs)) == {3 * EPOCHS_PER_ERA}
    async with await open_pool(house.source.dsn, size=1) as pool:
        views = PostgresViews(pool, timeout_s=5)
        newest = await views.latest()
        assert (newest.version, newest.members) == (3 * EPOCHS_PER_ERA, ())
        member = View(version=newest.version + 1, members=())
        assert await views.propose(member, bytes(16))


async def test_a_second_restore_never_takes_the_first_ones_timeline(house: House) -> None:
    await house.take()
    await house.stop()
    assert (await house.restore()).timeline == 2
    await house.stop()
    # Nothing of timeline 2 was ever archived, and yet it is taken.
    assert (await house.restore(old="older")).timeline == 3


async def test_an_abandoned_restore_does_not_hide_what_is_archived_later(house: House) -> None:
    async with house.following():
        await house.archived()
        early = await house.write("early")
    elsewhere = RestorePlaces(
        data=house.root / "trial", uploads=house.root / "trial.uploads", old=None
    )
    plan = plan_restore(house.folder, to_time=early)
    await asyncio.to_thread(restoring.restore, house.folder, plan, elsewhere)
    async with house.following():
        await house.write("late")
    await house.stop()
    done = await house.restore()
    assert await house.kept() == ["early", "late"]
    assert done.timeline == 3


async def test_a_new_timeline_leaves_the_old_ones_archive_as_it_is(house: House) -> None:
    async with house.following():
        await house.archived()
        early = await house.write("early")
        await house.ask("select pg_switch_wal()")
        late = await house.write("late")
        await house.ask("select pg_switch_wal()")
        await house.write("last")
    archived = whole_segments(house.folder)
    await house.stop()
    await house.restore(early)
    async with house.following():
        await house.archived()
        other = await house.write("other")
        await house.ask("select pg_switch_wal()")
        await house.write("other end")
    after = whole_segments(house.folder)
    assert archived.items() < after.items()
    assert any(Path(name).name.startswith("00000002") for name in after)
    await house.stop()
    await house.restore(late, timeline=1, old="older")
    assert await house.kept() == ["early", "late"]
    await house.stop()
    await house.restore(other, timeline=2, old="oldest")
    assert await house.kept() == ["early", "other"]


async def test_a_history_that_was_given_up_is_not_replayed_along_the_new_one(
    house: House,
) -> None:
    async with house.following():
        await house.archived()
        early = await house.write("early")
        between = await house.write("given up")
        await house.write("given up later")
    await house.stop()
    await house.restore(early)
    async with house.following():
        await house.archived()
        await house.write("new")
    await house.stop()
    # On timeline 2 nothing had happened at that moment; on timeline 1 it had.
    first = house.folder.bases()[0].id
    await house.restore(between, old="older", base_id=first)
    assert await house.kept() == ["early"]
    await house.stop()
    # Even if timeline 2 lacks the segment it began in, for that is on timeline 1 as well.
    min(house.folder.wal.glob("*/00000002????????????????")).unlink()
    with pytest.raises(BackupError, match="the log ends before"):
        await house.restore(between, old="oldest", timeline=2, base_id=first)


async def test_data_that_is_there_is_not_overwritten(house: House) -> None:
    await house.take()
    await house.stop()
    places = RestorePlaces(data=house.data, uploads=house.uploads, old=None)
    before = digests(house.data)
    plan = plan_restore(house.folder, to_time=None)
    with pytest.raises(BackupError, match="would be overwritten"):
        restoring.restore(house.folder, plan, places)
    full = house.root / "full"
    full.mkdir()
    (full / "thesis.txt").write_text("years of work")
    with pytest.raises(BackupError, match="not empty"):
        restoring.restore(
            house.folder, plan, RestorePlaces(data=house.data, uploads=house.uploads, old=full)
        )
    assert digests(house.data) == before


async def test_old_data_can_be_put_back(house: House) -> None:
    await house.take()
    await house.write("late")
    house.uploads.mkdir()
    (house.uploads / "poster.txt").write_text("late")
    await house.stop()
    await house.restore()
    await house.stop()
    await asyncio.to_thread(house.data.rename, house.root / "restored")
    (house.root / "old" / "postgres").rename(house.data)
    await house.start()
    assert await house.kept() == ["late"]
    assert (house.root / "old" / "uploads" / "poster.txt").read_text() == "late"


async def test_nothing_is_restored_under_a_running_postgres(house: House) -> None:
    await house.take()
    plan = plan_restore(house.folder, to_time=None)
    places = RestorePlaces(data=house.data, uploads=house.uploads, old=house.root / "old")
    with pytest.raises(BackupError, match="a Postgres runs on"):
        restoring.restore(house.folder, plan, places)
    await house.write("still there")


async def test_moments_outside_of_the_archive_are_refused(house: House) -> None:
    too_early = await house.write("first")
    async with house.following():
        await house.archived()
        last = await house.write("last")
    with pytest.raises(BackupError, match="before the first base backup"):
        plan_restore(house.folder, to_time=too_early)
    with pytest.raises(BackupError, match="is after the archive"):
        plan_restore(house.folder, to_time=last + timedelta(hours=1))
    with pytest.raises(BackupError, match="where timeline 7 came from"):
        plan_restore(house.folder, to_time=None, timeline=7)
    with pytest.raises(BackupError, match="no base backup nonsense"):
        plan_restore(house.folder, to_time=None, base_id="nonsense")
    await house.stop()
    # Too late by less than the archive notes: Postgres finds out, and nothing has changed.
    with pytest.raises(BackupError, match="the log ends before"):
        await house.restore(last + timedelta(seconds=30))
    await house.start()
    assert await house.kept() == ["first", "last"]


async def test_a_moment_after_a_lone_base_backup_is_refused(house: House) -> None:
    await house.take()
    late = await house.write("late")
    with pytest.raises(BackupError, match="ends with its base backup"):
        plan_restore(house.folder, to_time=late)


async def test_a_hole_in_the_log_is_noticed(house: House) -> None:
    async with house.following():
        await house.archived()
        early = await house.write("early")
        for _ in range(3):
            await house.ask("select pg_switch_wal()")
            await house.write("more")
    max(house.folder.wal.glob("*/*[0-9A-F]")).unlink()
    with pytest.raises(BackupError, match="has a hole from"):
        plan_restore(house.folder, to_time=None)
    await house.stop()
    await house.restore(early)
    assert await house.kept() == ["early"]


async def test_log_that_was_damaged_later_does_not_pass_for_its_end(house: House) -> None:
    async with house.following():
        await house.archived()
        await house.write("early")
        await house.ask("select pg_switch_wal()")
        late = await house.write("late")
        await house.ask("select pg_switch_wal()")
        await house.write("last")
    damaged = max(house.folder.wal.glob("*/*[0-9A-F]"))
    with damaged.open("r+b") as file:
        file.write(bytes(1 << 19))
    await house.stop()
    with pytest.raises(BackupError, match="its log is damaged"):
        await house.restore()
    with pytest.raises(BackupError, match="or is damaged before that"):
        await house.restore(late)
    await house.start()
    assert await house.kept() == ["early", "late", "last"]


async def test_half_a_segment_stops_a_restore(house: House) -> None:
    async with house.following():
        await house.archived()
        await house.ask("select pg_switch_wal()")
        await house.write("late")
        await house.ask("select pg_switch_wal()")
        await house.write("last")
    half = max(house.folder.wal.glob("*/*[0-9A-F]"))
    with half.open("r+b") as file:
        file.truncate(1 << 19)
    await house.stop()
    with pytest.raises(BackupError, match="has 524288 bytes and not"):
        await house.restore()


async def test_a_damaged_base_backup_is_not_restored(house: House) -> None:
    base = await house.take()
    victim = house.folder.data_of(base) / "global" / "pg_control"
    victim.write_bytes(bytes(reversed(victim.read_bytes())))
    await house.stop()
    with pytest.raises(BackupError, match="pg_control has other content"):
        await house.restore()
    assert not (house.root / "data" / "postgres.restore").exists()


async def test_a_full_disk_is_noticed_before_anything_is_copied(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.take()
    await house.stop()
    monkeypatch.setattr(restoring, "SPARE_BYTES", 1 << 60)
    with pytest.raises(BackupError, match="MiB free"):
        await house.restore()
    await house.start()


async def test_an_interrupted_restore_is_not_taken_for_an_empty_house(house: House) -> None:
    await house.write("precious")
    await house.take()
    await house.stop()
    # As after a crash between putting the old data away and the new into its place.
    house.data.rename(house.root / "put away")
    (house.data_dir / "postgres.restore" / "postgres").mkdir(parents=True)
    with pytest.raises(EmbeddedPostgresError, match="did not finish"):
        EmbeddedPostgres(house.data_dir).start()
    await house.restore()
    assert await house.kept() == ["precious"]
    assert not (house.data_dir / "postgres.restore").exists()


async def test_uploads_come_back_as_of_the_moment(house: House) -> None:
    house.uploads.mkdir()
    poster = house.uploads / "movies" / "poster.txt"
    poster.parent.mkdir()
    poster.write_text("first")
    async with house.following():
        await house.archived()
        early = await house.write("early")
        await asyncio.to_thread(poster.write_text, "second")
        (house.uploads / "new.txt").write_text("new")
        await until_uploaded(house, 2)
        late = await house.write("late")
        poster.unlink()
        await until_uploaded(house, 1)
    await house.stop()
    done = await house.restore(early)
    # What came soon after belongs to it as well, for files may be there before their rows.
    assert done.uploads == 2
    assert poster.read_text() == "first"
    await house.stop()
    await house.restore(late, timeline=1, old="older")
    assert poster.read_text() == "second"


async def until_uploaded(house: House, files: int) -> None:
    indexes = house.folder.uploads / "index"

    async def there() -> bool:
        newest = max(indexes.glob("*.json")).read_bytes()
        return len(msgspec.json.decode(newest)["files"]) == files

    await until(there)
