"""The metrics that `docs/telemetry.md` lists, for tests that hold rules and panels to it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import promql_parser as promql

DOCUMENT = Path(__file__).parents[2] / "docs" / "telemetry.md"
_ROW = re.compile(r"^\| `(cinema_[a-z_]+)` \| (\w+) \| (.*?) \|", re.MULTILINE)

OF_PROMETHEUS = frozenset({"instance", "job"})
"""Labels that the scrape adds to each series."""

OF_EVERY_PROCESS = frozenset(
    {
        "up",
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
    }
)


OF_BACKUPS = frozenset(
    {
        "cinema_backup_bases",
        "cinema_backup_base_timestamp_seconds",
        "cinema_backup_holes",
        "cinema_backup_log_timestamp_seconds",
    }
)
"""Metrics of `cinema backup --metrics`, not of a node."""


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of the table."""

    kind: str
    labels: frozenset[str]


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """A series that an expression asks for."""

    name: str
    matchers: dict[str, str]


def listed_metrics() -> dict[str, Listed]:
    """Every metric of the tables by its name, which only one metric has."""
    rows = _ROW.findall(DOCUMENT.read_text())
    listed = {
        name: Listed(kind=kind, labels=frozenset(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in rows
    }
    assert len(listed) == len(rows), "a name is listed twice"
    return listed


def listed_events() -> set[str]:
    """Every log event of the table."""
    return set(re.findall(r"^\| `([a-z_]+)` \|", DOCUMENT.read_text(), re.MULTILINE))


def known_series() -> dict[str, frozenset[str]]:
    """Name and labels of every series a scrape can bring."""
    series = dict.fromkeys(OF_EVERY_PROCESS, OF_PROMETHEUS)
    for name, metric in listed_metrics().items():
        labels = metric.labels | OF_PROMETHEUS
        if metric.kind == "histogram":
            series[f"{name}_bucket"] = labels | {"le"}
            series[f"{name}_count"] = series[f"{name}_sum"] = labels
        else:
            series[name] = labels
    return series


def parts(expression: str) -> Iterator[promql.Expr]:
    """All nodes of an expression."""
    found: list[promql.Expr] = []

    def visit(node: promql.Expr) -> bool:
        found.append(node)
        return True

    promql.walk(promql.parse(expression), visit)
    yield from found


def uses(expression: str) -> list[Use]:
    """What it selects."""
    return [
        Use(
            name=node.name,
            matchers={one.name: one.value for one in node.matchers.matchers},
        )
        for node in parts(expression)
        if isinstance(node, promql.VectorSelector)
    ]


def grouped_by(expression: str) -> set[str]:
    """Labels named in `by`, `without`, `on` and `ignoring`."""
    names: set[str] = set()
    for node in parts(expression):
        modifier = getattr(node, "modifier", None)
        labels = getattr(modifier, "labels", None) or getattr(
            getattr(modifier, "matching", None), "labels", None
        )
        names.update(labels or ())
    return names
