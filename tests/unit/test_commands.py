"""The files that start things: commands and container agree with the code."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from cinema.cli.main import main

ROOT = Path(__file__).parents[2]
COMMANDS = sorted([*(ROOT / "bin").iterdir(), ROOT / ".ci" / "run"])
LOCKS = ("production", "serve", "dev")

_PIN = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)


def pins(lock: str) -> set[tuple[str, str]]:
    return set(_PIN.findall((ROOT / "requirements" / f"{lock}.lock").read_text()))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda path: path.name)
def test_every_command_is_sound_shell(command: Path) -> None:
    checked = subprocess.run(["bash", "-n", command], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda path: path.name)
def test_every_command_can_be_run_and_stops_at_the_first_error(command: Path) -> None:
    text = command.read_text()
    if command.name == "setup":
        assert not os.access(command, os.X_OK), "it is sourced"
        return
    assert os.access(command, os.X_OK)
    assert text.startswith("#!/usr/bin/env bash\n# ")
    assert "\nset -euo pipefail\n" in text


@pytest.mark.parametrize("lock", [*LOCKS, "web"])
def test_locks_pin_hashes_and_name_no_place(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.lock").read_text()
    requirements = [line for line in text.splitlines() if line[:1] not in {" ", "#", ""}]
    assert requirements
    assert all("==" in line and line.endswith(" \\") for line in requirements)
    assert text.count("==") <= text.count("--hash=sha256:")
    assert not re.search(r"://|^-|/", text.replace("--hash", ""), re.MULTILINE)


def test_a_greater_lock_holds_all_of_a_smaller_one() -> None:
    assert pins("production") < pins("serve") < pins("dev")


def test_locks_hold_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = {
        "production": project["dependencies"],
        "serve": project["dependencies"] + extras["embedded"],
        "dev": project["dependencies"] + extras["embedded"] + extras["dev"],
    }
    for lock, requirements in asked.items():
        names = {re.split(r"[\[><=]", requirement)[0] for requirement in requirements}
        assert names <= {name for name, _ in pins(lock)}


def test_the_image_runs_as_an_ordinary_user_and_checks_its_health() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert "USER cinema" in lines
    assert any(line.startswith("HEALTHCHECK") for line in lines)
    assert lines.index("USER cinema") < lines.index('ENTRYPOINT ["python", "-m", "cinema"]')


def test_the_image_copies_only_what_the_ignore_file_lets_through() -> None:
    kept = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = re.findall(r"^COPY (?!--from)(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert set(copied) == kept
    assert all((ROOT / name).exists() for name in kept)


def test_a_health_check_fails_where_nobody_serves(
    unused_tcp_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["healthcheck", "--port", str(unused_tcp_port)]) == 1
    assert "refused" in capsys.readouterr().err
