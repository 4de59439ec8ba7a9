"""The command: cause chaos, check every history, and show what it cost the clients."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.dense_json import dense_json
from tests.chaos.faults import KINDS
from tests.chaos.report import draw, table
from tests.chaos.run import Options, cause_chaos

ROOT = Path(__file__).resolve().parents[2]
SHOWN = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 1 if anything was found."""
    asked = _parser().parse_args(arguments)
    seed = secrets.randbelow(1_000_000) if asked.seed is None else asked.seed
    options = Options(
        seed=seed, clients=asked.clients, seconds=asked.minutes * 60, only=tuple(asked.only)
    )
    folder = Path(tempfile.mkdtemp(prefix="cinema-chaos-"))
    try:
        outcome = asyncio.run(cause_chaos(options, folder, _say))
    except BaseException:
        print(f"seed {seed}; logs and data are in {folder}")
        raise
    text = table(outcome)
    print(text)
    results = ROOT / "benchmarks"
    if asked.keep:
        report, plot = results / "results" / "chaos.json", results / "plots" / "chaos.svg"
    else:
        local = results / "results" / "local" / f"chaos-{datetime.now(UTC):%Y-%m-%dT%H%M%S}"
        report, plot = local / "chaos.json", local / "chaos.svg"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_bytes(dense_json(outcome))
    draw(outcome, plot)
    print(f"written to {report.relative_to(ROOT)} and {plot.relative_to(ROOT)}")
    if outcome.wrong:
        print(f"{len(outcome.wrong)} things are wrong, seed {seed}; history and logs: {folder}")
        for what in outcome.wrong[:SHOWN]:
            print(f"- {what[:1000]}")
        return 1
    if asked.leave:
        print(f"logs and data are in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bin/chaos",
        description="Kills, freezes and cuts off real nodes under load, and checks every answer.",
    )
    parser.add_argument(
        "--minutes", type=float, default=0.0, help="begin rounds for so long (default: one round)"
    )
    parser.add_argument("--seed", type=int, help="of the schedule (default: a new one)")
    parser.add_argument("--clients", type=int, default=500, help="(default: 500)")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="FAULT",
        choices=list(KINDS),
        help=f"this kind of fault and no other (may be repeated): {', '.join(KINDS)}",
    )
    parser.add_argument("--leave", action="store_true", help="leave logs and data in place")
    parser.add_argument(
        "--keep",
        action="store_true",
        help="write benchmarks/results/chaos.json and plots/chaos.svg, which git keeps",
    )
    return parser


def _say(text: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
