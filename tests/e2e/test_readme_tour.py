"""What the documents show is true: the tour runs as written, statements are those of the code."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from cinema.demo.seed import DEMO_ACCOUNTS
from cinema.storage.journal import sql as journal_sql
from tests.e2e.test_serve_process import Served, free_port, serving

ROOT = Path(__file__).parents[2]
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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("tour") / "data"
    with serving(folder, free_port(), "--demo-data", "--bcrypt-cost", "10") as served:
        served.await_ready()
        yield served


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


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="the tour needs curl")
def test_the_tour_prints_what_the_readme_says_and_can_be_taken_again(server: Served) -> None:
    steps = tour()
    for _ in range(2):
        assert_as_told(steps, take_tour(server.port, steps))
    assert server.stop(signal.SIGTERM) == 0


def test_the_tour_names_the_address_only_where_it_can_be_changed() -> None:
    addresses = [line for step in tour() for line in step.commands.splitlines() if "127.0" in line]
    assert addresses == ["API=${CINEMA:=http://127.0.0.1:8080}/api/v1"]


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/*.md")), ids=lambda page: page.name)
def test_pages_name_commands_that_a_checkout_has(page: Path) -> None:
    """`cinema …` exists where the package is installed; in a checkout it is `bin/cinema …`."""
    said = rf"(?:`|^|\$ )cinema (?:{'|'.join(commands())})\b"
    of_packages = ["`cinema serve"] if page.name == "operations.md" else []
    assert re.findall(said, page.read_text(), re.MULTILINE) == of_packages


def commands() -> list[str]:
    """The commands of `cinema`, as its help lists them."""
    helped = subprocess.run(
        [sys.executable, "-P", "-m", "cinema", "--help"],
        env={"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
    )
    return re.findall(r"^    ([a-z-]+) ", helped.stdout, re.MULTILINE)


def test_the_readme_says_the_demo_accounts() -> None:
    told = re.findall(r"^\| (\w+) \| `(\S+)` \| `(\S+)` \|", README, re.MULTILINE)
    assert told == [(role, *account) for role, account in DEMO_ACCOUNTS.items()]


def test_statements_in_the_architecture_are_those_of_the_journal() -> None:
    shown = re.findall(r"```sql\n(.*?)```", (ROOT / "docs/architecture.md").read_text(), re.DOTALL)
    stored = {" ".join(value.split()) for value in vars(journal_sql).values() if type(value) is str}
    assert shown
    assert {" ".join(statement.split()) for statement in shown} <= stored


@pytest.mark.parametrize(
    "page",
    ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{p.name}" for p in ROOT.glob("docs/*.md"))],
)
def test_links_lead_to_files_that_exist(page: str) -> None:
    path = ROOT / page
    links = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []
