"""The Redis of our own: private, forgetful, and gone with whoever started it."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import uvloop
from redis.asyncio import Redis

from cinema.local import redis_server
from cinema.local.data_dir import DataDirInUse
from cinema.local.redis_server import LocalRedis, LocalRedisError
from tests.support import inspection

ROOT = Path(__file__).parents[2]

_STARTS_ONE = """
import sys, threading
from pathlib import Path
from cinema.local.redis_server import LocalRedis
server = LocalRedis(Path(sys.argv[1]))
starter = threading.Thread(target=server.start)
starter.start()
starter.join()
print(server.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("protocol", [2, 3])
def test_the_client_works_on_uvloop_with_either_protocol(redis_url: str, protocol: int) -> None:
    async def talk() -> None:
        async with Redis.from_url(redis_url, protocol=protocol) as client:
            assert await client.incr("beats") == 1
            async with client.pubsub() as listening:
                await listening.subscribe("deltas")
                assert (await listening.get_message(timeout=5))["type"] == "subscribe"
                await client.publish("deltas", b"x")
                assert (await listening.get_message(timeout=5))["data"] == b"x"

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(talk())


async def test_each_test_finds_it_empty(redis_server: LocalRedis, redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        assert await client.dbsize() == 0
        await client.set("left", "over")
        redis_server.wipe()
        assert await client.dbsize() == 0


async def test_a_killed_one_comes_back_empty_at_the_same_address(own_redis: LocalRedis) -> None:
    address = own_redis.url
    async with Redis.from_url(address) as client:
        await client.set("a", "1")
    own_redis.kill()
    assert not own_redis.running
    assert own_redis.start() == address
    async with Redis.from_url(address) as client:
        assert await client.get("a") is None


async def test_only_its_user_may_enter_and_nothing_is_kept(
    own_redis: LocalRedis, tmp_path: Path
) -> None:
    async with Redis.from_url(own_redis.url) as client:
        settings = await client.config_get("*")
        path = Path(settings["unixsocket"])
        assert (settings["port"], settings["save"], settings["appendonly"]) == ("0", "", "no")
        assert 0 < int(settings["maxmemory"]) <= 1 << 30
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    process = psutil.Process(own_redis.pid)
    assert not [one for one in process.net_connections() if one.family != psutil.AF_LINK and
                one.status == psutil.CONN_LISTEN]  # fmt: skip


def test_stop_ends_it_even_when_it_is_frozen(
    own_redis: LocalRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_server, "STOP_TIMEOUT_S", 0.1)
    process = psutil.Process(own_redis.pid)
    own_redis.send(signal.SIGSTOP)
    own_redis.stop()
    assert not process.is_running()


def test_it_ends_with_its_parent_whichever_thread_started_it(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-P", "-c", _STARTS_ONE, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    with parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert child.is_running(), "it must outlive the thread that started it"
        parent.kill()
        child.wait(10)
    # The next start finds a socket that nobody listens on.
    server = LocalRedis(tmp_path)
    server.start()
    server.stop()


def test_one_that_was_left_is_replaced_even_when_it_is_frozen(tmp_path: Path) -> None:
    server = LocalRedis(tmp_path)
    server.start()
    left = psutil.Process(server.pid)
    left.suspend()
    inspection.let_go_of_folder(server)
    successor = LocalRedis(tmp_path)
    try:
        successor.start()
        assert successor.running
        assert not server.running
        assert not left.is_running() or left.status() == psutil.STATUS_ZOMBIE
    finally:
        successor.stop()


def test_two_on_one_folder_are_refused(own_redis: LocalRedis, tmp_path: Path) -> None:
    with pytest.raises(DataDirInUse):
        LocalRedis(tmp_path / "redis").start()
    assert own_redis.running


def test_a_long_path_is_no_hindrance(tmp_path: Path) -> None:
    server = LocalRedis(tmp_path / ("long " * 20) / "redis,%")
    server.start()
    try:
        assert Path(server.url.removeprefix("unix://")).parent.name.startswith("cinema-")
    finally:
        server.stop()


def test_without_a_program_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_server, "WHEEL", "no_such_wheel")
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=5.0.14 sha=00000000'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalRedisError, match="apt install redis-server"):
        LocalRedis(tmp_path / "redis").start()


def test_the_one_on_the_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = redis_server.find_program()
    (tmp_path / "redis-server").symlink_to(ours)
    # The one that was found may be a script that needs other programs of the path.
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert redis_server.find_program() == tmp_path / "redis-server"


def test_a_failed_start_shows_the_log_and_gives_the_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as wrong:
        wrong.setitem(redis_server.CONFIGURATION, "maxmemory", "plenty")
        with pytest.raises(LocalRedisError, match="maxmemory"):
            LocalRedis(tmp_path).start()
    server = LocalRedis(tmp_path)
    server.start()
    server.stop()
