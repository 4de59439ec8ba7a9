"""The process that reads and writes seating plans: a task on standard input, an answer on output.

A plan of a few megabytes takes a second or two, in which a node could not sell. The first line of
the input is the task, the rest the file.
"""

from __future__ import annotations

import resource
import sys
from typing import Final

import msgspec

from cinema.domain.seatmap import Layout, LayoutError, parse_layout
from cinema.features.catalog.pretix_export import plan_of
from cinema.features.catalog.pretix_rules import UnusablePlan, layout_of, read_plan
from cinema.features.catalog.shapes import ImportReport, ScreenSide

MEMORY_LIMIT_BYTES: Final = 1 << 30
CPU_LIMIT_S: Final = 10
"""A plan of 5 MB takes a tenth of each."""


class ImportTask(msgspec.Struct, frozen=True, kw_only=True, tag="import"):
    """Make a layout of the file."""

    screen_at: ScreenSide


class ExportTask(msgspec.Struct, frozen=True, kw_only=True, tag="export"):
    """Make a plan of the layout in the file."""

    name: str


class Imported(msgspec.Struct, frozen=True, kw_only=True, tag="imported"):
    """A layout and what is said about it."""

    layout: Layout
    report: ImportReport


class Exported(msgspec.Struct, frozen=True, kw_only=True, tag="exported"):
    """A plan."""

    plan: msgspec.Raw


class NoLayout(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """Why there is no layout."""

    message: str
    path: str


Task = ImportTask | ExportTask
TaskResult = Imported | Exported | NoLayout


def answer_to(task: Task, content: bytes) -> TaskResult:
    """What is written to standard output."""
    if isinstance(task, ExportTask):
        layout = msgspec.json.decode(content, type=Layout)
        return Exported(plan=msgspec.Raw(msgspec.json.encode(plan_of(layout, task.name))))
    try:
        layout, report = layout_of(*read_plan(content), task.screen_at)
        parse_layout(layout, 1)
    except UnusablePlan as unusable:
        return NoLayout(message=str(unusable), path=unusable.path)
    except LayoutError as error:
        return NoLayout(message=error.message, path="$.zones")
    return Imported(layout=layout, report=report)


def main() -> None:
    """Limit this process, then do what it is for."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT_S, CPU_LIMIT_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=Task)
    sys.stdout.buffer.write(msgspec.json.encode(answer_to(task, sys.stdin.buffer.read())))


if __name__ == "__main__":
    main()
