"""What the runbook names exists: settings, commands, figures, log events, errors, places."""

from __future__ import annotations

import contextlib
import io
import random
import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from cinema.app.features import ERRORS
from cinema.cli.main import main
from cinema.cluster.ring import Ring, RingNode
from cinema.settings import fields
from tests.support.telemetry import known_series, listed_events

ROOT = Path(__file__).parents[2]
RUNBOOK = ROOT / "docs" / "runbook.md"
TEXT = RUNBOOK.read_text()
CODE = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL))


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)]+)\)", TEXT))))
def test_links_lead_somewhere(link: str) -> None:
    place, _, anchor = link.partition("#")
    path = (RUNBOOK.parent / place).resolve() if place else RUNBOOK
    assert path.exists()
    assert not anchor or anchor in anchors(path.read_text())


def test_settings_and_error_codes_exist() -> None:
    of_systemd = {"LimitNOFILE"}
    known = {field.variable for field in fields()} | ERRORS.keys() | of_systemd
    named = {name for code in CODE for name in re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", code)}
    assert named
    assert named <= known


def test_metrics_exist() -> None:
    named = {name for code in CODE for name in re.findall(r"\bcinema_\w+", code)}
    assert named
    assert named <= known_series().keys()


def test_log_events_exist() -> None:
    named = {
        code
        for code in CODE
        if re.fullmatch(r"[a-z]+(_[a-z]+)*_(failed|unknown|aborted|poisoned|quarantined|dead|late|"
                        r"refused|frozen|unreachable|finished)", code)
    }  # fmt: skip
    assert "showtime_quarantined" in named
    assert named <= listed_events()


def test_commands_of_operators_exist() -> None:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), pytest.raises(SystemExit):
        main(["admin", "--help"])
    table = TEXT.partition("## Tools")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `bin/cinema admin (.*?)\|", table, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"[a-z-]+", row)}
    assert named == set(re.findall(r"^    ([a-z-]+)\b", out.getvalue(), re.MULTILINE)) - {"command"}


def test_clients_find_the_owner_as_the_runbook_says() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    told: dict[str, Any] = {}
    exec(code, told)
    nodes = [("node-10", 8080, 100), ("node-2", 8081, 50), ("node-2", 8080, 7)]
    circle = told["circle"](nodes)
    ring = Ring(RingNode(host, port, weight) for host, port, weight in nodes)
    draw = random.Random(18)
    for _ in range(200):
        showtime = UUID(bytes=draw.randbytes(16))
        found = ring.owner_of(showtime.bytes)
        assert found is not None
        assert told["owner"](circle, str(showtime)) == (found.host, found.port)
