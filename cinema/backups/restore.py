"""Restores: copies a base backup to a separate folder, replays the log, fences, and switches over.

The result replaces the data only when it is complete, safe and shut down. Blocking; for a process
that does nothing else.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

import asyncpg
import msgspec

from cinema.backups import wal_fetch
from cinema.backups.errors import BackupError
from cinema.backups.fencing import fence
from cinema.backups.folder import BackupFolder, Base, flush
from cinema.backups.manifest import check_files
from cinema.backups.plan import RestorePlan
from cinema.backups.programs import Programs, find_programs
from cinema.backups.uploads import restore_uploads
from cinema.backups.wal import format_lsn, history_name, lineage
from cinema.local.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError
from cinema.local.postgres_home import RESTORE_SUFFIX
from cinema.local.postmaster import find_postmaster
from cinema.local.socket_folder import SocketFolderError, make_private_folder
from cinema.local.unprivileged import CannotDropPrivileges, PostgresUser, postgres_identity

RECOVERY_TIMEOUT_S: Final = 24 * 3600.0
"""Replaying takes about as long as writing the log did, and never a day."""

SPARE_BYTES: Final = 512 << 20
"""Free space that is needed besides the copy: for the log that replay writes, and to shut down."""

_STOP_TIMEOUT_S: Final = 60.0
_ENDED_EARLY: Final = "recovery ended before configured recovery target was reached"
_ACCESS: Final = "local all all trust\n"
_TIMELINE: Final = "select timeline_id from pg_control_checkpoint()"


class RestorePlaces(msgspec.Struct, frozen=True, kw_only=True):
    """Where a restore goes; existing data is moved to `old`, or the restore is refused."""

    data: Path
    uploads: Path
    old: Path | None


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore has done."""

    base: str
    timeline: int
    lsn: str
    showtimes: int
    uploads: int


def restore(folder: BackupFolder, plan: RestorePlan, places: RestorePlaces) -> Restored:
    """Restore as planned. Hold the lock of the data folder, with no server on it."""
    programs = find_programs(folder.archive().major)
    programs.path("postgres")
    _refuse_to_overwrite(places)
    draft = places.data.with_name(f"{places.data.name}{RESTORE_SUFFIX}")
    uploads = places.uploads.with_name(f"{places.uploads.name}{RESTORE_SUFFIX}")
    with folder.locked():
        _check(folder.data_of(plan.base), programs)
        try:
            identity = postgres_identity(programs.folder, places.data)
            _clear(draft, uploads)
            _refuse_a_full_disk(plan.base, places.data.parent)
            make_private_folder(draft, identity.uid, identity.gid)
            _copy(folder.data_of(plan.base), draft / "postgres", identity)
            restored = _replay(folder, plan, draft, programs)
            count = restore_uploads(folder, plan.to_time, uploads)
            _hand_over(uploads, places.uploads.parent)
        except (EmbeddedPostgresError, CannotDropPrivileges, SocketFolderError) as error:
            _clear(draft, uploads)
            raise BackupError(_plain(error, plan)) from error
        except BaseException:
            _clear(draft, uploads)
            raise
    _switch(places, draft, uploads)
    return msgspec.structs.replace(restored, uploads=count)


# --- before


def _refuse_to_overwrite(places: RestorePlaces) -> None:
    if find_postmaster(places.data) is not None:
        raise BackupError(f"a Postgres runs on {places.data}; stop all nodes and it first")
    there = [path for path in (places.data, places.uploads) if path.exists()]
    if places.old is None:
        if there:
            raise BackupError(
                f"{' and '.join(map(str, there))} would be overwritten; "
                "say with --move-old-to where that is to go"
            )
        return
    if places.old.exists() and any(places.old.iterdir()):
        raise BackupError(f"{places.old} is not empty; choose another folder for the old data")
    places.old.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in there:
        if path.stat().st_dev != places.old.stat().st_dev:
            raise BackupError(f"{places.old} is on another disk than {path}; choose one beside it")


def _refuse_a_full_disk(base: Base, place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    free_bytes = shutil.disk_usage(place).free
    needed_bytes = base.size_bytes + SPARE_BYTES
    if free_bytes < needed_bytes:
        raise BackupError(
            f"{place} has {free_bytes >> 20} MiB free, and {needed_bytes >> 20} are needed"
        )


def _check(data: Path, programs: Programs) -> None:
    problems = asyncio.run(check_files(data, programs))
    if problems:
        raise BackupError(f"the base backup is damaged: {'; '.join(problems)}")


def _clear(draft: Path, uploads: Path) -> None:
    """Remove what this or an earlier attempt has made, and stop the Postgres that it left."""
    left = find_postmaster(draft / "postgres")
    if left is not None:
        left.send(signal.SIGQUIT)
        if not left.wait_gone(_STOP_TIMEOUT_S):
            raise BackupError(f"Postgres (pid {left.pid}) of an earlier restore does not stop")
    for path in (draft, uploads):
        if path.exists():
            shutil.rmtree(path)


# --- the database


def _copy(source: Path, target: Path, identity: PostgresUser) -> None:
    shutil.copytree(source, target, symlinks=True)
    if os.geteuid() == 0:
        for path in (target, *target.rglob("*")):
            os.chown(path, identity.uid, identity.gid, follow_symlinks=False)


def _replay(folder: BackupFolder, plan: RestorePlan, draft: Path, programs: Programs) -> Restored:
    data = draft / "postgres"
    (data / "recovery.signal").touch(mode=0o600)
    _give_like(data / "recovery.signal", data)
    configuration, access = draft / "postgresql.conf", draft / "pg_hba.conf"
    # The configuration files of the server may be missing, or need libraries that are not here.
    configuration.write_text("")
    access.write_text(_ACCESS)
    for path in (configuration, access):
        _give_like(path, data)
    with _running(_recovering(folder, plan, draft, programs)) as address:
        timeline = asyncio.run(_settle(_as_owner(address, plan.base)))
        history = (data / "pg_wal" / history_name(timeline)).read_text()
        ended = lineage(timeline, history)[-1].begins
        if plan.to_time is None and ended < plan.least:
            raise BackupError(
                f"replay ended at {format_lsn(ended)}, though the archive was sure to reach "
                f"{format_lsn(plan.least)}: its log is damaged there; "
                "restore to a moment before that with --to-time"
            )
        # From now on no other restore begins this timeline.
        folder.keep_timelines(data / "pg_wal")
        showtimes = asyncio.run(fence(_as_owner(address, plan.base), timeline))
    for name in ("backup_label.old", "backup_manifest", "tablespace_map.old"):
        (data / name).unlink(missing_ok=True)
    return Restored(
        base=plan.base.id,
        timeline=timeline,
        lsn=format_lsn(ended),
        showtimes=showtimes,
        uploads=0,
    )


def _recovering(
    folder: BackupFolder, plan: RestorePlan, draft: Path, programs: Programs
) -> EmbeddedPostgres:
    segment_bytes = folder.archive().segment_bytes
    script = Path(wal_fetch.__file__)
    ends = ",".join(
        f"{branch.timeline:08X}:{branch.ends // segment_bytes}"
        for branch in folder.lineage(plan.timeline)
        if branch.ends is not None
    )
    words = [sys.executable, "-I", "-S", str(script), str(folder.root), str(segment_bytes), ends]
    command = " ".join(shlex.quote(word).replace("%", "%%") for word in words)
    settings = {
        "config_file": str(draft / "postgresql.conf"),
        "hba_file": str(draft / "pg_hba.conf"),
        "ident_file": str(draft / "postgresql.conf"),
        "shared_preload_libraries": "",
        "restore_command": f"{command} %f %p",
        "recovery_target_timeline": str(plan.timeline),
        "recovery_target_action": "promote",
        # No client may connect before the end, and settings of the old server need not be met.
        "hot_standby": "off",
        "archive_mode": "off",
    }
    if plan.to_time is not None:
        settings["recovery_target_time"] = plan.to_time.isoformat(sep=" ")
    return EmbeddedPostgres(
        draft,
        settings=settings,
        binaries=programs.folder,
        reads=[folder.wal, script, Path(sys.executable).resolve()],
        start_timeout_s=RECOVERY_TIMEOUT_S,
    )


@contextmanager
def _running(postgres: EmbeddedPostgres) -> Iterator[str]:
    try:
        yield postgres.start()
    finally:
        postgres.stop()


async def _settle(dsn: str) -> int:
    """Write the new timeline into the control file; returns its number."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("checkpoint")
        timeline: int = await connection.fetchval(_TIMELINE)
        return timeline
    finally:
        await connection.close()


def _as_owner(address: str, base: Base) -> str:
    """The address of the database that was backed up, for the user who did it."""
    host = parse_qs(urlsplit(address).query)["host"][0]
    user, database = quote(base.user, safe=""), quote(base.database, safe="")
    return f"postgresql://{user}@/{database}?host={quote(host, safe='/')}"


def _plain(error: Exception, plan: RestorePlan) -> str:
    if _ENDED_EARLY in str(error):
        return (
            f"the log ends before {plan.to_time}, or is damaged before that; choose an earlier "
            "moment, or leave --to-time out to restore all there is"
        )
    return str(error)


# --- after


def _switch(places: RestorePlaces, draft: Path, uploads: Path) -> None:
    """Put the new in the place of the old. Until the draft is gone, no empty database is made."""
    if places.old is not None:
        for path in (places.data, places.uploads):
            if path.exists():
                path.rename(places.old / path.name)
                flush(path.parent)
        flush(places.old)
    uploads.rename(places.uploads)
    flush(places.uploads.parent)
    (draft / "postgres").rename(places.data)
    flush(places.data.parent)
    shutil.rmtree(draft)


def _hand_over(folder: Path, like: Path) -> None:
    """Make files we wrote as root those of the user who serves them."""
    for path in (folder, *folder.rglob("*")):
        _give_like(path, like)


def _give_like(path: Path, like: Path) -> None:
    if os.geteuid() == 0:
        status = like.stat()
        os.chown(path, status.st_uid, status.st_gid)
