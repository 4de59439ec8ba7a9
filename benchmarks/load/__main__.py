"""A load process: one spec in on standard input, reports out on standard output, a line each."""

import gc
import sys

import msgspec
import uvloop

from benchmarks.load.churn import run_churn
from benchmarks.load.commits import run_commits
from benchmarks.load.contest import run_contest
from benchmarks.load.crowd import run_crowd
from benchmarks.load.filling import run_filling
from benchmarks.load.hashes import run_hashes
from benchmarks.load.holds import run_holds, run_holds_across
from benchmarks.load.logins import run_logins
from benchmarks.load.revival import run_revival
from benchmarks.load.scans import run_scans
from benchmarks.load.sockets import run_sockets
from benchmarks.load.specs import (
    Churn,
    CommitProbe,
    Contest,
    Crowd,
    Filling,
    HashProbe,
    HoldLoad,
    HoldsAcross,
    Logins,
    Report,
    Revival,
    Scans,
    SocketLoad,
    Spec,
    Steadied,
    Steady,
    Watched,
    Watching,
)
from benchmarks.load.steady import run_steady
from benchmarks.load.watching import run_watching


def say(value: object) -> None:
    """Write one line of JSON for the parent to read."""
    sys.stdout.buffer.write(msgspec.json.encode(value) + b"\n")
    sys.stdout.buffer.flush()


async def perform(spec: Spec) -> Report | Watched | Steadied:  # noqa: C901, PLR0912  (one for each)
    """Do what the spec says."""
    match spec:
        case HoldLoad():
            return await run_holds(spec)
        case Churn():
            return await run_churn(spec)
        case Crowd():
            return await run_crowd(spec)
        case HoldsAcross():
            return await run_holds_across(spec)
        case SocketLoad():
            return await run_sockets(spec)
        case Contest():
            return await run_contest(spec)
        case Filling():
            return await run_filling(spec)
        case Revival():
            return await run_revival(spec)
        case Logins():
            return await run_logins(spec)
        case Scans():
            return await run_scans(spec)
        case HashProbe():
            return await run_hashes(spec)
        case CommitProbe():
            return await run_commits(spec)
        case Watching():
            return await run_watching(spec, say)
        case Steady():
            return await run_steady(spec, say)


def main() -> None:
    # A collection in the middle of a window would look like the server's latency.
    gc.disable()
    spec = msgspec.json.decode(sys.stdin.buffer.readline(), type=Spec)
    say(uvloop.run(perform(spec)))


if __name__ == "__main__":
    main()
