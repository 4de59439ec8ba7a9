"""A few seeds on every run, and what the simulator itself must be able to do.

`bin/simulate` runs as many as one likes; continuous integration runs 2,000.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

from cinema.domain.showtime.commands import AnyCommand
from tests.simulation.__main__ import main
from tests.simulation.holes import HOLES, Hole
from tests.simulation.profile import CLUSTER_FAULTS, FAULTS
from tests.simulation.run import Verdict, simulate

pytestmark = pytest.mark.no_cover
"""Tracing would make a seed several times slower, and shows nothing that unit tests do not."""

ROOT = Path(__file__).parents[2]
SEEDS = 20
LARGE_NODES = 20
LARGE_SEEDS = 3
FOUND_BY = {hole.found_by for hole in HOLES.values()}
SEARCHED = 400
"""Seeds in which a hole is looked for, from the one that found it last."""

CARRIED_OUT = re.compile(r"^n\d : #\d+ (\w+) .* -> (\w+) \d+:\d+$")
"""An answer of a node that names an event: the command, and what came of it."""

WENT_APART = (136,)
"""Seeds that once went another way in each process."""

REPLAYED = 3
"""Seeds that another process replays to their end."""


@cache
def played(seed: int) -> Verdict:
    """A run of the real server; several tests look at the same one."""
    return simulate(seed, keep_trace=True)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nothing_is_violated(seed: int) -> None:
    verdict = played(seed)
    assert verdict.violations == ()
    assert verdict.attempts > 0


@pytest.mark.parametrize("seed", [227, 1285])
def test_a_seed_that_found_a_fault_finds_it_no_more(seed: int) -> None:
    """Changes that were lost while a watcher joined; a command that a broken link kept too long."""
    assert simulate(seed).violations == ()


@pytest.mark.parametrize("seed", range(LARGE_SEEDS))
def test_nothing_is_violated_among_many_nodes(seed: int) -> None:
    verdict = simulate(seed, nodes=LARGE_NODES)
    assert verdict.violations == ()
    assert verdict.attempts > 0


@pytest.mark.slow
@pytest.mark.parametrize("hole", HOLES.values(), ids=HOLES)
def test_a_hole_is_found(hole: Hole) -> None:
    """By the seed that found it; if the server has changed its ways since, by one behind it."""
    assert any(hole.simulate(seed).violations for seed in hole.seeds(hole.found_by, SEARCHED)), (
        f"search for another seed: bin/simulate --weakened {hole.name} --seeds 2000"
    )


@pytest.mark.parametrize("seed", sorted(FOUND_BY))
def test_the_real_server_closes_the_hole(seed: int) -> None:
    assert played(seed).violations == ()


def test_every_command_is_carried_out_and_seats_given_back_in_part() -> None:
    missing = {one.__name__ for one in get_args(AnyCommand)} - {"ExpireDue", "MoveShowtime"}
    missing |= {"HoldReleasedInPart", "BookingCancelledInPart"}
    for seed in range(SEEDS):
        for _, line in played(seed).lines:
            done = CARRIED_OUT.search(line)
            missing -= set(done.groups()) if done is not None else set()
        if not missing:
            return
    raise AssertionError(f"in {SEEDS} seeds nobody did {sorted(missing)}")


def test_every_fault_is_in_the_documents() -> None:
    document = (ROOT / "docs" / "simulation.md").read_text()
    assert {*FAULTS, *CLUSTER_FAULTS} <= set(re.findall(r"`([a-z_]+)`", document))


def test_a_seed_goes_the_same_way_in_every_process() -> None:
    """Whatever hashes a process gives to texts and objects: this one has drawn its own.

    Most differences are born among faults, and that part costs least.
    """
    seeds = sorted({*range(SEEDS), *FOUND_BY, *WENT_APART})
    whole, chaos = _digests_of_another_process(REPLAYED, seeds)
    assert whole == [played(seed).digest for seed in range(REPLAYED)]
    assert chaos == {seed: simulate(seed, chaos_only=True).chaos_digest for seed in seeds}


def _digests_of_another_process(
    replayed: int, seeds: list[int]
) -> tuple[list[str], dict[int, str]]:
    """Of whole runs, and of the part with faults of others, in another order."""
    script = (
        "from tests.simulation.chance import shuffled_objects\n"
        "from tests.simulation.run import simulate\n"
        "with shuffled_objects(4242):\n"
        f"    for seed in reversed({seeds}):\n"
        "        print(simulate(seed, chaos_only=True).chaos_digest)\n"
        f"    for seed in range({replayed}):\n"
        "        print(simulate(seed).digest)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "4242", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    digests = done.stdout.split()
    assert len(digests) == len(seeds) + replayed
    return digests[len(seeds) :], dict(zip(reversed(seeds), digests, strict=False))


def test_a_kept_trace_changes_nothing() -> None:
    kept = played(3)
    assert kept.digest == simulate(3).digest
    assert len(kept.lines) > 100


def test_a_run_that_ends_with_its_faults_is_the_same_up_to_there() -> None:
    assert simulate(3, chaos_only=True).chaos_digest == played(3).chaos_digest
    assert played(3).chaos_digest != played(3).digest


def test_seeds_differ() -> None:
    assert played(1).digest != played(2).digest


def test_a_failing_seed_is_printed_with_what_led_to_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--weakened", "success-before-durable", "--seeds", "3"]) == 0
    assert "success-before-durable: seed" in capsys.readouterr().out


def test_a_seed_is_replayed_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "3", "--trace"]) == 0
    printed = capsys.readouterr().out
    assert "healed" in printed
    assert printed.splitlines()[-1].endswith(played(3).digest)
