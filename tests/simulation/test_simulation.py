"""A few seeds on every run, and what the simulator itself must be able to do.

`bin/simulate` runs as many as one likes; continuous integration runs 2,000.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from cinema.domain.showtime.commands import AnyCommand
from tests.simulation.__main__ import main
from tests.simulation.holes import HOLES, Hole
from tests.simulation.profile import CLUSTER_FAULTS, FAULTS
from tests.simulation.run import simulate

pytestmark = pytest.mark.no_cover
"""Tracing would make a seed several times slower, and shows nothing that unit tests do not."""

ROOT = Path(__file__).parents[2]
SEEDS = 20
FOUND_BY = {hole.found_by for hole in HOLES.values()}
SEARCHED = 400
"""Seeds in which a hole is looked for, from the one that found it last."""

CARRIED_OUT = re.compile(r"^n\d : #\d+ (\w+) .* -> (\w+) \d+:\d+$")
"""An answer of a node that names an event: the command, and what came of it."""

REPLAYED = 12
"""Seeds whose traces are compared between two processes."""


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nothing_is_violated(seed: int) -> None:
    verdict = simulate(seed)
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
    assert simulate(seed).violations == ()


def test_every_command_is_carried_out_and_seats_given_back_in_part() -> None:
    missing = {one.__name__ for one in get_args(AnyCommand)} - {"ExpireDue", "MoveShowtime"}
    missing |= {"HoldReleasedInPart", "BookingCancelledInPart"}
    for seed in range(SEEDS):
        for _, line in simulate(seed, keep_trace=True).lines:
            done = CARRIED_OUT.search(line)
            missing -= set(done.groups()) if done is not None else set()
        if not missing:
            return
    raise AssertionError(f"in {SEEDS} seeds nobody did {sorted(missing)}")


def test_every_fault_is_in_the_documents() -> None:
    document = (ROOT / "docs" / "simulation.md").read_text()
    assert {*FAULTS, *CLUSTER_FAULTS} <= set(re.findall(r"`([a-z_]+)`", document))


def test_a_seed_goes_the_same_way_in_every_process() -> None:
    digests = [_digests(hash_seed) for hash_seed in ("1", "4242")]
    assert len(digests[0].split()) == REPLAYED
    assert digests[0] == digests[1]


def _digests(hash_seed: str) -> str:
    script = (
        "from tests.simulation.run import simulate\n"
        f"for seed in range({REPLAYED}): print(simulate(seed).digest)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout


def test_a_kept_trace_changes_nothing() -> None:
    kept = simulate(3, keep_trace=True)
    assert kept.digest == simulate(3).digest
    assert len(kept.lines) > 100


def test_seeds_differ() -> None:
    assert simulate(1).digest != simulate(2).digest


def test_a_failing_seed_is_printed_with_what_led_to_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--weakened", "success-before-durable", "--seeds", "3"]) == 0
    assert "success-before-durable: seed" in capsys.readouterr().out


def test_a_seed_is_replayed_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "3", "--trace"]) == 0
    printed = capsys.readouterr().out
    assert "healed" in printed
    assert printed.splitlines()[-1].endswith(simulate(3).digest)
