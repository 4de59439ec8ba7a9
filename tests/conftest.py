"""A real Postgres for the tests, one server a worker and one database a test; a real Redis."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Coroutine, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import hypothesis
import pytest

from cinema.local.embedded_postgres import EmbeddedPostgres
from cinema.local.redis_server import LocalRedis
from cinema.storage.database.migrate import migrate
from cinema.storage.database.pool import open_pool
from tests.support.coverage_files import drop_broken_files
from tests.support.memory import folder_in_memory

# A shared machine may be slow at any moment; that is no defect of the code under test.
hypothesis.settings.register_profile("cinema", deadline=None)
hypothesis.settings.load_profile("cinema")

LONGEST_FILES = (
    "test_schemathesis.py",
    "test_restore.py",
    "test_archive.py",
    "test_simulation.py",
    "test_local_cluster.py",
    "test_installed_package.py",
    "test_schedules.py",
    "test_behind_balancers.py",
    "test_restore_under_load.py",
    "test_lives_of_plain_room.py",
    "test_lives_of_room_with_aisles.py",
    "test_lives_of_room_for_everybody.py",
)
"""The longest first."""

_numbers = itertools.count(1)


def pytest_configure() -> None:
    """Have the processes that tests start hear signals, also in a run that ignores them itself.

    A shell starts what runs in its background with SIGINT ignored, `nohup` with SIGHUP; children
    inherit that, but not a handler.
    """
    for signum in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(signum) is signal.SIG_IGN:
            signal.signal(signum, lambda *_: None)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Before coverage is summed up, drop what killed servers left half written."""
    result = yield
    if not hasattr(session.config, "workerinput"):
        drop_broken_files(session.config.rootpath)
    return result


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One worker a processor and one more, since tests wait often.

    None for a single file, or for the tests in a browser: they share it and its server.
    """
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return int(os.environ["PYTEST_XDIST_AUTO_NUM_WORKERS"])
    files = {argument.partition("::")[0] for argument in config.args}
    if len(files) == 1 and Path(next(iter(files))).is_file():
        return 0
    if all("browser" in file for file in files):
        return 0
    return len(os.sched_getaffinity(0)) + 1


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Tests in a browser run only if they are asked for: they need a process of their own."""
    if collection_path != Path(__file__).parent / "browser":
        return None
    return None if any("browser" in argument for argument in config.args) else True


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes begin first; chaos, which asks for the whole machine, comes last.

    What Hypothesis draws is not traced: it would take several times as long, and coverage is to
    depend on no chance.
    """
    for item in items:
        if item.get_closest_marker("hypothesis") is not None:
            item.add_marker(pytest.mark.no_cover)
    order = {name: rank for rank, name in enumerate(LONGEST_FILES)}

    def rank(item: pytest.Item) -> int:
        if "chaos" in item.path.parent.name:
            return len(order) + 1
        return order.get(item.path.name, len(order))

    items.sort(key=rank)


def pytest_collection_finish() -> None:
    """What is loaded by now stays, so that no collection of garbage looks at all of it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a Postgres where databases may be made: TEST_DATABASE_URL, or our own."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="cinema-test-", dir=folder_in_memory()) as folder:
        # What is kept of its log may lie in memory.
        server = EmbeddedPostgres(
            Path(folder), durable=False, settings={"max_wal_size": "128MB", "min_wal_size": "64MB"}
        )
        try:
            yield server.start()
        finally:
            server.stop()


@pytest.fixture(scope="session")
def template_database(postgres_server: str) -> Iterator[str]:
    """The name of a migrated database that tests clone."""
    name = f"cinema_template_{os.getpid()}"
    _run(_execute(postgres_server, f"create database {name}"))
    _run(migrate(_address(postgres_server, name)))
    yield name
    _run(_execute(postgres_server, f"drop database {name} with (force)"))


@pytest.fixture
async def empty_database(postgres_server: str) -> AsyncIterator[str]:
    """The address of a database without tables."""
    name = f"cinema_empty_{os.getpid()}_{next(_numbers)}"
    await _execute(postgres_server, f"create database {name}")
    yield _address(postgres_server, name)
    await _execute(postgres_server, f"drop database {name} with (force)")


@pytest.fixture
async def database(postgres_server: str, template_database: str) -> AsyncIterator[str]:
    """The address of a migrated database of the test's own."""
    name = f"cinema_test_{os.getpid()}_{next(_numbers)}"
    await _execute(
        postgres_server, f"create database {name} template {template_database} strategy file_copy"
    )
    yield _address(postgres_server, name)
    await _execute(postgres_server, f"drop database {name} with (force)")


@pytest.fixture(scope="module")
def shared_database(postgres_server: str, template_database: str) -> Iterator[str]:
    """The address of a migrated database for all tests of a file."""
    name = f"cinema_shared_{os.getpid()}_{next(_numbers)}"
    _run(
        _execute(
            postgres_server,
            f"create database {name} template {template_database} strategy file_copy",
        )
    )
    yield _address(postgres_server, name)
    _run(_execute(postgres_server, f"drop database {name} with (force)"))


@pytest.fixture
async def pool(database: str) -> AsyncIterator[asyncpg.Pool[asyncpg.Record]]:
    """Connections to the test's own database."""
    async with await open_pool(database, size=8) as opened:
        yield opened


@pytest.fixture(scope="session")
def redis_server() -> Iterator[LocalRedis]:
    """The Redis that all tests of a worker share; for one to kill there is `own_redis`."""
    with tempfile.TemporaryDirectory(prefix="cinema-test-") as folder:
        server = LocalRedis(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture
def redis_url(redis_server: LocalRedis) -> str:
    """The address of a Redis that holds nothing yet."""
    redis_server.wipe()
    return redis_server.url


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[LocalRedis]:
    """A running Redis of the test's own, to kill, freeze, wipe and start again."""
    server = LocalRedis(tmp_path / "redis")
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _address(server: str, database: str) -> str:
    return urlunsplit(urlsplit(server)._replace(path=f"/{database}"))


async def _execute(address: str, statement: str) -> None:
    connection = await asyncpg.connect(address)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run it on a loop of its own, in a thread, so that the tests' loop is left alone."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()
