"""What the documents show is true: the tour runs as written, statements are those of the code."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cinema.demo.seed import DEMO_ACCOUNTS
from cinema.storage.journal import sql as journal_sql
from tests.support.readme_tour import README, assert_as_told, take_tour, tour
from tests.support.served import Served, serving
from tests.support.server_process import ROOT, free_port


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("tour") / "data"
    with serving(folder, free_port(), "--demo-data", "--bcrypt-cost", "10") as served:
        served.await_ready()
        yield served


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
