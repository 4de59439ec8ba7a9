"""bcrypt alone: the most logins that the same threads could serve."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import bcrypt

from benchmarks.load.specs import HashProbe, Report
from benchmarks.load.tally import Measured, Tally

PASSWORD = b"as long as a digest in base64: 44 characters"


async def run_hashes(probe: HashProbe) -> Report:
    """Compare for the window in each thread, and report it; the work is this process's own."""
    stored = bcrypt.hashpw(PASSWORD, bcrypt.gensalt(probe.cost))
    tally = Tally()
    measured = Measured(tally, probe.window)
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(probe.threads) as threads:

        async def compare() -> None:
            while not tally.finished.is_set():
                began_ns = time.monotonic_ns()
                same = await loop.run_in_executor(threads, bcrypt.checkpw, PASSWORD, stored)
                tally.count("same" if same else "other", time.monotonic_ns() - began_ns)

        async def measure() -> None:
            await measured.run()
            tally.finished.set()

        await asyncio.gather(measure(), *(compare() for _ in range(probe.threads)))
    return measured.report()
