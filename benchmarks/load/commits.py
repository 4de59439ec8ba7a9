"""Commits of one row straight to Postgres: the shortest a durable answer can take."""

import asyncio
import time

import asyncpg

from benchmarks.load.specs import CommitProbe, Report
from benchmarks.load.tally import Measured, Tally

PAYLOAD = b"x" * 200
"""About the size of a journal row's event."""

CREATE = """
CREATE SCHEMA IF NOT EXISTS bench;
CREATE TABLE IF NOT EXISTS bench.commits (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    payload bytea NOT NULL
);
"""

INSERT = "INSERT INTO bench.commits (payload) VALUES ($1)"


async def run_commits(probe: CommitProbe) -> Report:
    """Insert and commit one row after the other for the window and report it."""
    connection = await asyncpg.connect(probe.dsn)
    try:
        await connection.execute(CREATE)
        insert = await connection.prepare(INSERT)
        tally = Tally()
        measured = Measured(tally, probe.window)

        async def commit() -> None:
            while not tally.finished.is_set():
                sent_ns = time.monotonic_ns()
                await insert.fetchval(PAYLOAD)
                tally.count("committed", time.monotonic_ns() - sent_ns)

        async def measure() -> None:
            await measured.run()
            tally.finished.set()

        await asyncio.gather(commit(), measure())
    finally:
        await connection.close()
    return measured.report()
