"""The command: run seeds, replay one, or put a hole back and see it found."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from tests.simulation.holes import HOLES, Hole
from tests.simulation.run import Verdict, simulate
from tests.simulation.trace import shown

SHOWN_VIOLATIONS = 5
SHOWN_LINES = 40
CHUNK_SEEDS = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 1 if anything was violated, or a hole was not found."""
    options = _parser().parse_args(arguments)
    if options.weakened is not None:
        return _search_holes(options.weakened, options.start, options.seeds, options.jobs)
    if options.seed is not None:
        return _replay(options.seed, options.nodes, whole=options.trace)
    return _run_all(options.start, options.seeds, options.jobs, options.nodes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bin/simulate",
        description="Simulates a cluster with faults, deterministically, seed by seed.",
    )
    parser.add_argument("--seeds", type=int, default=200, help="how many (default: 200)")
    parser.add_argument("--start", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument("--jobs", type=int, default=1, help="processes at once (default: 1)")
    parser.add_argument("--seed", type=int, help="run only this one, and print its hash")
    parser.add_argument("--nodes", type=int, default=0, help="only clusters of so many nodes")
    parser.add_argument("--trace", action="store_true", help="with --seed: print all that happens")
    parser.add_argument(
        "--weakened",
        metavar="HOLE",
        choices=["all", *HOLES],
        help="put a hole back into the server and search for a seed that finds it: all, "
        + ", ".join(HOLES),
    )
    return parser


def _verdicts(
    start: int, seeds: int, jobs: int, hole: Hole | None = None, nodes: int = 0
) -> Iterator[Verdict]:
    """Verdicts in the order of seeds, whatever the number of jobs."""
    run = partial(simulate_with, hole, nodes)
    chosen = range(start, start + seeds) if hole is None else hole.seeds(start, seeds)
    if jobs == 1:
        yield from map(run, chosen)
        return
    pool = ProcessPoolExecutor(jobs)
    try:
        yield from pool.map(run, chosen, chunksize=CHUNK_SEEDS)
    finally:
        # Whoever has seen enough does not wait for the rest.
        pool.shutdown(wait=False, cancel_futures=True)


def simulate_with(hole: Hole | None, nodes: int, seed: int) -> Verdict:
    """One seed with the real server, or with a weakened one."""
    return simulate(seed, nodes=nodes) if hole is None else hole.simulate(seed)


def _run_all(start: int, seeds: int, jobs: int, nodes: int) -> int:
    began_s = time.monotonic()
    failed: list[int] = []
    attempts = events = 0
    for verdict in _verdicts(start, seeds, jobs, nodes=nodes):
        attempts += verdict.attempts
        events += verdict.events
        if verdict.violations:
            failed.append(verdict.seed)
            if len(failed) == 1:
                _explain(verdict, nodes)
            else:
                _print_violations(verdict)
    took_s = time.monotonic() - began_s
    print(f"{seeds} seeds, {attempts} requests, {events} events in {took_s:.0f} s: ", end="")
    print(f"{len(failed)} failed: {failed}" if failed else "nothing was violated")
    return 1 if failed else 0


def _explain(verdict: Verdict, nodes: int) -> None:
    """Print what a failed run violated, and what led to it as a replay shows it."""
    replay = simulate(verdict.seed, nodes=nodes, keep_trace=True)
    if replay.digest == verdict.digest:
        _print_lines_before(replay, verdict.violations[0][0])
        _print_violations(verdict)
    else:
        _print_violations(verdict)
        print(
            f"seed {verdict.seed}: it does not go the same way twice: "
            f"hash {verdict.digest}, replayed {replay.digest}; the replay:"
        )
        if replay.violations:
            _print_lines_before(replay, replay.violations[0][0])
            _print_violations(replay)
        else:
            print(f"seed {verdict.seed}: nothing was violated when it was replayed")
    print(f"seed {verdict.seed}: hash {verdict.digest}")


def _replay(seed: int, nodes: int, *, whole: bool) -> int:
    """Run one seed with all its lines, and print what there is to see."""
    verdict = simulate(seed, nodes=nodes, keep_trace=True)
    if whole:
        for now_ns, line in verdict.lines:
            print(shown(now_ns, line))
    elif verdict.violations:
        _print_lines_before(verdict, verdict.violations[0][0])
    _print_violations(verdict)
    print(f"seed {seed}: hash {verdict.digest}")
    return 1 if verdict.violations else 0


def _print_lines_before(verdict: Verdict, moment_ns: int) -> None:
    """The last lines up to the first violation."""
    upto = [line for line in verdict.lines if line[0] <= moment_ns][-SHOWN_LINES:]
    for now_ns, line in upto:
        print(shown(now_ns, line))


def _print_violations(verdict: Verdict) -> None:
    for now_ns, what in verdict.violations[:SHOWN_VIOLATIONS]:
        print(f"seed {verdict.seed} violated at {now_ns / 1e9:.6f}: {what}")
    if verdict.violations:
        more = len(verdict.violations) - SHOWN_VIOLATIONS
        if more > 0:
            print(f"seed {verdict.seed}: and {more} more")
        print(f"replay it: bin/simulate --seed {verdict.seed} --trace")


def _search_holes(name: str, start: int, seeds: int, jobs: int) -> int:
    """Each hole must be found within the seeds."""
    missed = 0
    for hole in HOLES.values() if name == "all" else [HOLES[name]]:
        began_s = time.monotonic()
        found = next((one for one in _verdicts(start, seeds, jobs, hole) if one.violations), None)
        took_s = time.monotonic() - began_s
        if found is None:
            missed += 1
            print(f"{hole.name}: NOT FOUND in {seeds} seeds, {took_s:.1f} s")
        else:
            print(f"{hole.name}: seed {found.seed}, {took_s:.1f} s: {found.violations[0][1]}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
