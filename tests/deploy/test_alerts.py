"""The alert rules and the dashboard ask for what the server tells, and the rules fire when due."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from cinema.app.features import ERRORS
from cinema.telemetry.metrics import LATENCY_BOUNDS_US
from tests.deploy.alert_cases import CASES, Case
from tests.support.programs import program
from tests.support.telemetry import OF_BACKUPS, grouped_by, known_series, listed_events, uses

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "alerts.yaml"
DASHBOARD = ROOT / "deploy" / "grafana" / "cinema.json"
RUNBOOK = ROOT / "docs" / "runbook.md"

SEVERITIES = {"critical", "warning"}


class Rule(msgspec.Struct, kw_only=True, rename={"hold_for": "for"}):
    """One alert."""

    alert: str
    expr: str
    labels: dict[str, str]
    annotations: dict[str, str]
    hold_for: str = "0s"


def rules() -> list[Rule]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [msgspec.convert(rule, Rule) for group in groups for rule in group["rules"]]


def panels(of: Any) -> Iterator[Any]:
    for panel in of.get("panels", ()):
        yield panel
        yield from panels(panel)


def dashboard() -> Any:
    return json.loads(DASHBOARD.read_text())


def panel_expressions() -> Iterator[tuple[str, str]]:
    for panel in panels(dashboard()):
        for target in panel.get("targets", ()):
            expression = target["expr"].replace("$__rate_interval", "5m")
            yield panel["title"], re.sub(r"\$\w+", "x", expression)


EXPRESSIONS = [*((rule.alert, rule.expr) for rule in rules()), *panel_expressions()]


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS)
def test_every_series_asked_for_exists_with_its_labels(title: str, expression: str) -> None:
    series = known_series()
    used = uses(expression)
    assert used
    labels: set[str] = set()
    for use in used:
        assert use.name in series
        assert use.matchers.keys() <= series[use.name]
        if use.name not in OF_BACKUPS:
            assert use.matchers["job"] == "cinema"
        labels |= series[use.name]
    assert grouped_by(expression) <= labels


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS)
def test_error_codes_asked_for_exist(title: str, expression: str) -> None:
    for use in uses(expression):
        code = use.matchers.get("code")
        outcome = use.matchers.get("outcome", "")
        assert code is None or set(code.split("|")) <= ERRORS.keys()
        assert not outcome.isupper() or outcome in ERRORS


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS)
def test_log_events_asked_for_exist(title: str, expression: str) -> None:
    for use in uses(expression):
        assert set(use.matchers.get("event", "task_failed").split("|")) <= listed_events()


def test_a_quantile_is_compared_at_a_bound_of_its_buckets() -> None:
    slow_route = next(rule for rule in rules() if rule.alert == "CinemaSlowRoute")
    assert "> 0.2\n" in slow_route.expr
    assert 200_000 in LATENCY_BOUNDS_US


def test_each_alert_says_what_it_is_and_how_bad() -> None:
    assert max(Counter(rule.alert for rule in rules()).values()) == 1
    for rule in rules():
        assert re.fullmatch(r"Cinema[A-Z]\w+", rule.alert)
        assert rule.labels.keys() == {"severity"}
        assert rule.labels["severity"] in SEVERITIES
        assert rule.annotations.keys() == {"summary", "description", "runbook_url"}


def test_each_alert_has_a_section_in_the_runbook_and_each_section_an_alert() -> None:
    alerts = RUNBOOK.read_text().partition("\n## Alerts\n")[2].partition("\n## ")[0]
    sections = re.findall(r"^### (\w+)$", alerts, re.MULTILINE)
    assert sections == [rule.alert for rule in rules()]
    for rule in rules():
        assert rule.annotations["runbook_url"] == f"docs/runbook.md#{rule.alert.lower()}"


def test_each_section_of_an_alert_says_what_to_look_at_and_to_do() -> None:
    alerts = RUNBOOK.read_text().partition("\n## Alerts\n")[2].partition("\n## ")[0]
    for section in re.split(r"^### ", alerts, flags=re.MULTILINE)[1:]:
        for part in ("**Meaning.**", "**Look at.**", "**Do.**"):
            assert section.count(part) == 1, (section.splitlines()[0], part)


def test_each_alert_is_tried() -> None:
    assert {case.alert for case in CASES} == {rule.alert for rule in rules()}


def test_prometheus_takes_the_rules_and_the_configurations(tmp_path: Path) -> None:
    promtool = program("promtool", package="prometheus")
    # Debian builds Prometheus without its knowledge of Kubernetes.
    pods = yaml.safe_load(RULES.with_name("kubernetes.yaml").read_text())
    assert pods["scrape_configs"][0].pop("kubernetes_sd_configs")
    (tmp_path / "kubernetes.yaml").write_text(yaml.safe_dump(pods))
    (tmp_path / "alerts.yaml").write_text(RULES.read_text())
    configurations = [RULES.with_name("prometheus.yaml"), tmp_path / "kubernetes.yaml"]
    for command in (["check", "rules", RULES], ["check", "config", *configurations]):
        checked = subprocess.run([promtool, *command], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_alerts_fire_when_due_and_not_before(tmp_path: Path) -> None:
    promtool = program("promtool", package="prometheus")
    severity = {rule.alert: rule.labels["severity"] for rule in rules()}
    files = []
    for case in CASES:
        # Each rule by itself: promtool evaluates all it is given, for all of the time.
        (tmp_path / f"{case.alert}.rule.yaml").write_text(yaml.safe_dump(alone(case.alert)))
        files.append(tmp_path / f"{len(files)}.yaml")
        text = {
            "rule_files": [f"{case.alert}.rule.yaml"],
            "evaluation_interval": "15s",
            "tests": list(promtool_tests(case, severity[case.alert])),
        }
        files[-1].write_text(yaml.safe_dump(text))
    ran = subprocess.run(
        [promtool, "test", "rules", *files], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def alone(alert: str) -> dict[str, Any]:
    """The rules file with one rule, without its annotations: promtool would compare their texts."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    (rule,) = [rule for group in groups for rule in group["rules"] if rule["alert"] == alert]
    del rule["annotations"]
    return {"groups": [{"name": "alone", "rules": [rule]}]}


def promtool_tests(case: Case, severity: str) -> Iterator[dict[str, Any]]:
    fires = [{"exp_labels": {**case.labels, "severity": severity}}]
    expected: list[tuple[dict[str, str], Any]] = [(case.firing, fires), (case.quiet, [])]
    for number, (series, alerts) in enumerate(expected):
        yield {
            "name": f"{case.alert} {'quiet' if number else 'firing'}",
            "interval": "15s",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "alert_rule_test": [
                {"eval_time": case.at, "alertname": case.alert, "exp_alerts": alerts}
            ],
        }


def test_the_dashboard_can_be_imported_anywhere() -> None:
    board = dashboard()
    assert board["id"] is None
    assert board["uid"] == "cinema"
    (source,) = [one for one in board["templating"]["list"] if one["type"] == "datasource"]
    identities = [panel["id"] for panel in panels(board)]
    assert len(identities) == len(set(identities))
    for panel in panels(board):
        if panel["type"] == "row":
            continue
        assert panel["datasource"] == {"type": "prometheus", "uid": f"${{{source['name']}}}"}
        assert panel["targets"]
        assert panel["description"]


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels(dashboard()):
        place = panel["gridPos"]
        cells = {
            (place["x"] + column, place["y"] + row)
            for column in range(place["w"])
            for row in range(place["h"])
        }
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells
