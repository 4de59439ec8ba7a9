"""Files in processes that one server forks: what each has, and what ends whom."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from cinema.integrations.fork_server import CPU_LIMIT_S, MEMORY_LIMIT_BYTES, PATIENT_NICE
from cinema.integrations.forks import Forks, ForkServer
from cinema.integrations.processes import AnswerTooLong, ProcessDied, ProcessTooSlow

pytestmark = pytest.mark.process

PATIENCE_S = 180.0
"""A test waits so long only when something is wrong."""

ROOT = str(Path(__file__).parents[2])

PROGRAMS = {
    name: f"tests.support.forked_programs:{name}"
    for name in ("echoing", "counting", "telling", "meeting", "stumbling", "swelling", "dying")
}

LIMIT_BYTES = 8 << 20

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc, or the kernel of Linux")


@asynccontextmanager
async def serving(*programs: str, idle_s: float = 600.0) -> AsyncIterator[ForkServer]:
    server = ForkServer(
        programs or tuple(PROGRAMS.values()), idle_s=idle_s, environment={"PYTHONPATH": ROOT}
    )
    try:
        yield server
    finally:
        await server.close()


@pytest.fixture
async def server() -> AsyncIterator[ForkServer]:
    async with serving() as server:
        yield server


async def answer(server: ForkServer, name: str, content: bytes = b"") -> bytes:
    async with asyncio.timeout(PATIENCE_S):
        return await server.answer(PROGRAMS[name], content, LIMIT_BYTES)


class Meetings:
    """Where processes wait for a word; the end of their connection is theirs."""

    def __init__(self, path: str) -> None:
        self.path = path.encode()
        self._came: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
        self._came = asyncio.Queue()
        self._writers: list[asyncio.StreamWriter] = []

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        await self._came.put((reader, writer))

    async def next(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await self._came.get()
            assert await reader.readline() == b"here\n"
            return reader, writer

    async def close(self) -> None:
        for writer in self._writers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


async def ended(meeting: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    """Wait until the process at the other end is no more."""
    async with asyncio.timeout(PATIENCE_S):
        with suppress(ConnectionError):
            assert await meeting[0].read() == b""


@pytest.fixture
async def meetings(tmp_path: Path) -> AsyncIterator[Meetings]:
    meetings = Meetings(str(tmp_path / "meet"))
    async with await asyncio.start_unix_server(meetings.take, meetings.path.decode()):
        yield meetings
        await meetings.close()


async def test_one_server_is_started_with_the_first_file(server: ForkServer) -> None:
    assert server.process is None
    told = [json.loads(await answer(server, "telling")) for _ in range(2)]
    assert server.process is not None
    assert {one["server"] for one in told} == {server.process.pid}


async def test_nothing_of_a_file_is_left_for_the_next(server: ForkServer) -> None:
    assert [await answer(server, "counting", b"x") for _ in range(3)] == [b"1"] * 3


async def test_large_files_pass_both_ways(server: ForkServer) -> None:
    content = os.urandom(LIMIT_BYTES)
    assert await answer(server, "echoing", content) == content
    assert await answer(server, "echoing", b"") == b""


@LINUX
async def test_a_process_has_its_limits_and_nothing_of_others(
    server: ForkServer, meetings: Meetings
) -> None:
    other = asyncio.ensure_future(answer(server, "meeting", meetings.path))
    _, writer = await meetings.next()
    told = json.loads(await answer(server, "telling"))
    assert told["limits"] == [MEMORY_LIMIT_BYTES, CPU_LIMIT_S, 0]
    assert told["nice"] >= min(os.nice(0) + 5, 19)
    assert len(told["open"]) == 1
    writer.write(b"go\n")
    assert await other == b"go\n"


async def test_a_patient_process_stands_back_further_and_others_do_not(server: ForkServer) -> None:
    async def told_nice(*, patiently: bool) -> int:
        forks = Forks(
            server,
            PROGRAMS["telling"],
            at_once=1,
            waiting_limit=1,
            time_limit_s=PATIENCE_S,
            answer_limit_bytes=LIMIT_BYTES,
            patiently=patiently,
        )
        nice: int = json.loads(await forks.answer(b""))["nice"]
        return nice

    usual = await told_nice(patiently=False)
    assert await told_nice(patiently=True) == min(usual + PATIENT_NICE, 19)
    assert await told_nice(patiently=False) == usual


async def test_what_goes_wrong_is_told_without_the_file(server: ForkServer) -> None:
    with pytest.raises(ProcessDied, match=r"^ValueError at .*forked_programs\.py:\d+$"):
        await answer(server, "stumbling", b"secret")
    assert await answer(server, "echoing", b"next") == b"next"


@LINUX
async def test_more_memory_than_there_is_for_a_file_is_refused_to_it(server: ForkServer) -> None:
    with pytest.raises(ProcessDied, match="MemoryError"):
        await answer(server, "swelling")


async def test_an_answer_beyond_its_limit_is_none(server: ForkServer) -> None:
    await server.answer(PROGRAMS["echoing"], b"12345", limit_bytes=5)
    with pytest.raises(AnswerTooLong):
        await server.answer(PROGRAMS["echoing"], b"123456", limit_bytes=5)


async def test_a_process_that_dies_over_its_file_is_not_repeated(
    server: ForkServer, tmp_path: Path
) -> None:
    signs = tmp_path / "signs"
    with pytest.raises(ProcessDied):
        await answer(server, "dying", str(signs).encode())
    assert signs.read_bytes() == b"."
    assert await answer(server, "echoing", b"next") == b"next"


async def test_who_waits_no_more_ends_the_process(server: ForkServer, meetings: Meetings) -> None:
    asked = asyncio.ensure_future(answer(server, "meeting", meetings.path))
    meeting = await meetings.next()
    asked.cancel()
    await ended(meeting)
    assert await answer(server, "echoing", b"next") == b"next"


async def test_a_process_that_takes_too_long_is_killed(
    server: ForkServer, meetings: Meetings
) -> None:
    forks = Forks(
        server,
        PROGRAMS["meeting"],
        at_once=1,
        waiting_limit=0,
        time_limit_s=0.2,
        answer_limit_bytes=LIMIT_BYTES,
    )
    await answer(server, "echoing")
    with pytest.raises(ProcessTooSlow):
        await forks.answer(meetings.path)
    # Where the machine is busy it may be killed before it comes.
    assert await answer(server, "echoing", b"next") == b"next"


@LINUX
async def test_files_under_way_are_tried_again_when_the_server_dies(
    server: ForkServer, meetings: Meetings
) -> None:
    asked = asyncio.ensure_future(answer(server, "meeting", meetings.path))
    first = await meetings.next()
    assert server.process is not None
    server.process.kill()
    await ended(first)
    _, writer = await meetings.next()
    writer.write(b"again\n")
    assert await asked == b"again\n"


@LINUX
async def test_a_file_that_the_server_dies_over_twice_is_given_up(
    server: ForkServer, meetings: Meetings
) -> None:
    asked = asyncio.ensure_future(answer(server, "meeting", meetings.path))
    for _ in range(2):
        meeting = await meetings.next()
        assert server.process is not None
        server.process.kill()
        await ended(meeting)
    with pytest.raises(ProcessDied):
        await asked


async def test_a_server_that_died_meanwhile_is_started_again(server: ForkServer) -> None:
    await answer(server, "echoing")
    assert server.process is not None
    server.process.kill()
    await server.process.wait()
    assert await answer(server, "echoing", b"next") == b"next"


async def test_programs_that_are_never_ready_are_given_up() -> None:
    program = "tests.support.forked_programs:unready"
    async with serving(program) as server, asyncio.timeout(PATIENCE_S):
        with pytest.raises(ProcessDied):
            await server.answer(program, b"", LIMIT_BYTES)


async def test_a_server_without_files_ends_and_another_is_started() -> None:
    async with serving(idle_s=0.0) as server:
        for content in (b"first", b"second"):
            assert await answer(server, "echoing", content) == content
            assert server.process is not None
            async with asyncio.timeout(PATIENCE_S):
                assert await server.process.wait() == 0


async def test_a_server_rests_only_when_all_files_are_done(meetings: Meetings) -> None:
    async with serving(idle_s=0.0) as server:
        asked = asyncio.ensure_future(answer(server, "meeting", meetings.path))
        _, writer = await meetings.next()
        assert await answer(server, "echoing", b"other") == b"other"
        rested = asyncio.Event()
        asyncio.get_running_loop().call_later(0.0, rested.set)
        await rested.wait()
        writer.write(b"go\n")
        assert await asked == b"go\n"


async def test_signals_to_all_processes_leave_those_that_print(
    server: ForkServer, meetings: Meetings
) -> None:
    asked = asyncio.ensure_future(answer(server, "meeting", meetings.path))
    _, writer = await meetings.next()
    assert server.process is not None
    for one in (signal.SIGINT, signal.SIGTERM):
        server.process.send_signal(one)
    writer.write(b"go\n")
    assert await asked == b"go\n"
    assert server.process.returncode is None


NODE = """
import asyncio, sys
from cinema.integrations.forks import ForkServer
program, path = sys.argv[1:]
asyncio.run(ForkServer((program,)).answer(program, path.encode(), 1 << 20))
"""


async def test_the_server_and_its_processes_end_with_a_node_that_is_killed(
    meetings: Meetings,
) -> None:
    node = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", NODE, PROGRAMS["meeting"], meetings.path.decode()),
        env={**os.environ, "PYTHONPATH": ROOT},
    )
    meeting = await meetings.next()
    node.kill()
    await node.wait()
    await ended(meeting)
