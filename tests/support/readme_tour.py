"""The README's tour: its steps, and taking them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import NamedTuple

from tests.support.server_process import ROOT

README = (ROOT / "README.md").read_text()

TOUR_TIMEOUT_S = 60
MARK = "----- next step -----"

_STEP = re.compile(r"```bash\n(?P<commands>.*?)```\n\n```text\n(?P<output>.*?)```", re.DOTALL)


class Step(NamedTuple):
    """Commands of the tour, and what the README says they print; … stands for anything."""

    commands: str
    output: str

    @property
    def pattern(self) -> str:
        lines = self.output.split("\n")
        return "\n".join(".+".join(map(re.escape, line.split("…"))) for line in lines)


def tour() -> list[Step]:
    _, _, after = README.partition("\n## A five-minute tour\n")
    section, _, _ = after.partition("\n## ")
    steps = [Step(*match.groups()) for match in _STEP.finditer(section)]
    assert len(steps) == section.count("```bash"), "each step shows what it prints"
    return steps


def take_tour(port: int, steps: list[Step], prefix: str = sys.prefix) -> list[str]:
    """What each step prints, in one shell; only the server's address and its packages are ours."""
    script = "set -euo pipefail\n" + f"\necho '{MARK}'\n".join(step.commands for step in steps)
    environment = {
        "PATH": f"{prefix}/bin{os.pathsep}{os.environ['PATH']}",
        "VENV_DIR": prefix,
        "CINEMA": f"http://127.0.0.1:{port}",
    }
    run = subprocess.run(
        ["bash", "-c", script],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TOUR_TIMEOUT_S,
        check=False,
    )
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
    assert not run.stderr
    return run.stdout.split(f"{MARK}\n")


def assert_as_told(steps: list[Step], printed: list[str]) -> None:
    for step, output in zip(steps, printed, strict=True):
        assert re.fullmatch(step.pattern, output), f"{step.commands}\nprinted\n{output}"
