"""`cinema backup` and `cinema restore`."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from cinema.backups.base import take_base
from cinema.backups.check import check_folder
from cinema.backups.errors import BackupError
from cinema.backups.folder import BackupFolder
from cinema.backups.follow import ArchiveFollower, BackupSchedule
from cinema.backups.listing import BackupList, ListedBackup, list_backups
from cinema.backups.metrics import backup_metrics
from cinema.backups.plan import plan_restore
from cinema.backups.programs import Source
from cinema.backups.pruning import prune
from cinema.backups.restore import RestorePlaces, restore
from cinema.backups.server import connected
from cinema.backups.stream import drop_slot
from cinema.local.data_dir import DataDirLock
from cinema.local.embedded_postgres import EmbeddedPostgres, running_address
from cinema.settings import Settings
from cinema.telemetry.logging import configure_logging, standard_error_sink


def run_backup(settings: Settings, options: Mapping[str, Any]) -> None:
    """Take, follow, list, measure, verify or forget backups."""
    folder = _folder(settings, options["to"])
    if options["list"]:
        listed = list_backups(folder, datetime.now(UTC))
        _print(listed, options, _table(listed))
    elif options["metrics"]:
        now = datetime.now(UTC)
        sys.stdout.write(backup_metrics(list_backups(folder, now), now))
    elif options["verify"]:
        _verify(folder, options)
    elif options["follow"]:
        asyncio.run(_follow(settings, folder))
    elif options["forget"]:
        asyncio.run(_forget(_running_source(settings), folder))
        _print({"forgotten": True}, options, "the server keeps nothing for this folder any more")
    else:
        _take(settings, folder, options)


def run_restore(settings: Settings, options: Mapping[str, Any]) -> None:
    """Restore into the data folder of the embedded Postgres, or into another one."""
    folder = _folder(settings, options["from"])
    to_time = None if options["to_time"] is None else _moment(options["to_time"])
    into = options["into"]
    if into is None and settings.database_url:
        raise BackupError(
            "DATABASE_URL names a server of its own; restore --into a folder and start it on that"
        )
    plan = plan_restore(
        folder, to_time=to_time, timeline=options["timeline"], base_id=options["backup"]
    )
    old = options["move_old_to"]
    data = settings.data_dir / "postgres" if into is None else Path(into).absolute()
    places = RestorePlaces(
        data=data,
        uploads=_uploads(settings) if into is None else data.with_name(f"{data.name}.uploads"),
        old=None if old is None else Path(old).absolute(),
    )
    signal.signal(signal.SIGTERM, _interrupted)
    with _locked(settings.data_dir if into is None else None):
        done = restore(folder, plan, places)
    files = f" and {done.uploads} uploaded files" if done.uploads else ""
    text = (
        f"restored to {done.lsn} from base backup {done.base}: {done.showtimes} showtimes{files} "
        f"in {data} on timeline {done.timeline}"
    )
    _print(done, options, text)


def _take(settings: Settings, folder: BackupFolder, options: Mapping[str, Any]) -> None:
    signal.signal(signal.SIGTERM, _interrupted)
    with _source(settings) as source:
        base = asyncio.run(take_base(source, folder, _uploads(settings)))
    pruned = prune(folder, settings.backup_keep)
    text = f"base backup {base.id} taken and verified: {_size(base.size_bytes)} in {folder.root}"
    if pruned.bases:
        text += f"; removed {', '.join(pruned.bases)}"
    _print({"backup": base, "pruned": pruned}, options, text)


async def _follow(settings: Settings, folder: BackupFolder) -> None:
    sink = standard_error_sink()
    configure_logging(settings.log_level, sink)
    stopping = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stopping.set)
    schedule = BackupSchedule(
        every=timedelta(hours=settings.backup_interval_hours), keep=settings.backup_keep
    )
    try:
        await ArchiveFollower(
            lambda: _running_source(settings), folder, _uploads(settings), schedule
        ).run(stopping)
    finally:
        sink.close()


async def _forget(source: Source, folder: BackupFolder) -> None:
    async with connected(source) as connection:
        await drop_slot(connection, folder.archive().id)


def _verify(folder: BackupFolder, options: Mapping[str, Any]) -> None:
    problems = asyncio.run(check_folder(folder))
    _print({"problems": problems}, options, "\n".join(problems) or "all backups are sound")
    if problems:
        raise BackupError(f"{len(problems)} problems in {folder.root}")


# --- where


def _folder(settings: Settings, given: str | None) -> BackupFolder:
    return BackupFolder(settings.backup_dir if given is None else Path(given).expanduser())


def _uploads(settings: Settings) -> Path:
    return settings.uploads


def _running_source(settings: Settings) -> Source:
    address = settings.database_url or running_address(settings.data_dir)
    if not address:
        raise BackupError(f"no Postgres runs on {settings.data_dir}; start the server")
    return Source(address)


@contextmanager
def _source(settings: Settings) -> Iterator[Source]:
    """The running server; the embedded one is started if it does not run."""
    address = settings.database_url or running_address(settings.data_dir)
    if address:
        yield Source(address)
        return
    if not (settings.data_dir / "postgres").exists():
        raise BackupError(f"there is no database in {settings.data_dir}")
    postgres = EmbeddedPostgres(settings.data_dir)
    try:
        yield Source(postgres.start())
    finally:
        postgres.stop()


@contextmanager
def _locked(data_dir: Path | None) -> Iterator[None]:
    if data_dir is None:
        yield
        return
    lock = DataDirLock(data_dir)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _interrupted(signum: int, _frame: object) -> None:
    raise SystemExit(128 + signum)


# --- words


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BackupError(f"{text!r} is not a moment such as 2026-11-21T18:30:00+01:00") from error
    if moment.tzinfo is None:
        raise BackupError(f"{text} has no offset; write {text}Z for UTC")
    return moment.astimezone(UTC)


def _print(outcome: object, options: Mapping[str, Any], text: str) -> None:
    if options["json"]:
        sys.stdout.write(msgspec.json.encode(outcome).decode() + "\n")
    else:
        sys.stdout.write("".join(f"cinema: {line}\n" for line in text.splitlines()))


def _table(listed: BackupList) -> str:
    lines = []
    for one in listed.backups:
        lines.append(
            f"{one.id}  timeline {one.timeline}  {_size(one.size_bytes):>9}  {_moments(one)}"
        )
        if one.hole is not None:
            lines.append(f"    {one.hole}")
    if listed.behind_s is not None:
        lines.append(f"the archive is {listed.behind_s:.0f} s behind")
    return "\n".join(lines) or "no backups"


def _moments(one: ListedBackup) -> str:
    if one.until is None:
        return f"only {one.since:%F %T}Z, when it was taken: no log was archived after it"
    return f"any moment from {one.since:%F %T}Z to {one.until:%F %T}Z"


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"
