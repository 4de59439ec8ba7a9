"""Layouts of screens: which versions there are, and their way in and out as seating plans."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.paging import BY_NUMBER, Page, PageQuery, after, page
from cinema.domain.principal import Principal
from cinema.domain.rejections import refuse
from cinema.features.accounts.authority import require_own_cinema
from cinema.features.catalog.layout_store import LayoutsRepository
from cinema.features.catalog.pretix_process import (
    Exported,
    ExportTask,
    Imported,
    ImportTask,
    Task,
    TaskResult,
)
from cinema.features.catalog.shapes import (
    LAYOUT_VERSION_MAX,
    ImportQuery,
    LayoutImport,
    LayoutVersion,
    Screen,
)
from cinema.features.catalog.store import CatalogRepository
from cinema.features.refusals import found, granted
from cinema.integrations.processes import AnswerTooLong, Processes, ProcessesBusy, ProcessTooSlow

COMMAND: Final = (sys.executable, "-m", "cinema.features.catalog.pretix_process")

TIME_LIMIT_S: Final = 60.0
"""How long a process may take for a plan, its start and a busy machine included. It may use a
processor for a sixth of that (`pretix_process.py`)."""

AT_ONCE: Final = 1
WAITING_LIMIT: Final = 4
"""Plans at a time, and those that wait: managers change one now and then."""

ANSWER_LIMIT_BYTES: Final = 64 << 20
"""More than a layout with the most seats has, or a plan made of it."""


class LayoutsService:
    """Use cases of layouts; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        catalog: CatalogRepository,
        layouts: LayoutsRepository,
        *,
        now: Callable[[], datetime],
        command: Sequence[str] = COMMAND,
        time_limit_s: float = TIME_LIMIT_S,
    ) -> None:
        self._catalog = catalog
        self._layouts = layouts
        self._now = now
        self._processes = Processes(
            command,
            at_once=AT_ONCE,
            waiting_limit=WAITING_LIMIT,
            time_limit_s=time_limit_s,
            answer_limit_bytes=ANSWER_LIMIT_BYTES,
        )

    async def versions(
        self, by: Principal, screen_id: UUID, query: PageQuery
    ) -> Page[LayoutVersion]:
        """Versions of a screen's layout, the newest first. Refuses NOT_FOUND, FORBIDDEN."""
        screen = await self._own_screen(by, screen_id)
        position = granted(after(query.cursor, BY_NUMBER))
        rows = await self._layouts.versions(
            screen.id,
            self._now(),
            before=None if position is None else max(0, min(position[0], LAYOUT_VERSION_MAX)),
            limit=query.limit + 1,
        )
        return page(rows, query.limit, lambda row: (row.layout_version, screen.id))

    async def import_plan(
        self,
        by: Principal,
        screen_id: UUID,
        content: bytes,
        query: ImportQuery,
        seen: frozenset[int] | None,
        key: IdempotencyKey | None = None,
    ) -> LayoutImport:
        """A seating plan of pretix as the next version of a screen's layout, with a report.

        `seen` are the versions that the caller may have seen. Refuses NOT_FOUND, FORBIDDEN,
        PRECONDITION_REQUIRED (without `seen`), PRECONDITION_FAILED, UNUSABLE_PLAN, OVERLOADED.
        """
        screen = await self._own_screen(by, screen_id)
        if seen is None:
            raise refuse("PRECONDITION_REQUIRED")
        if query.dry_run and screen.layout_version not in seen:
            raise refuse("PRECONDITION_FAILED", layout_version=screen.layout_version)
        answer = await self._answer(ImportTask(screen_at=query.screen_at), content)
        if not isinstance(answer, Imported):
            raise refuse("UNUSABLE_PLAN", "This plan takes too much time or memory.", path="$")
        if query.dry_run:
            return LayoutImport(screen=None, report=answer.report)
        changed = await self._catalog.replace_layout(
            screen.id,
            seen,
            layout=answer.layout,
            seat_count=answer.report.seats,
            now=self._now(),
            by=UUID(bytes=by.user_id),
            key=key,
        )
        return LayoutImport(screen=changed, report=answer.report)

    async def export_plan(
        self, by: Principal, screen_id: UUID, version: int | None
    ) -> tuple[int, bytes]:
        """A version of a screen's layout as a seating plan of pretix, and which version it is.

        Refuses NOT_FOUND, FORBIDDEN, OVERLOADED, RETRY.
        """
        screen = await self._own_screen(by, screen_id)
        shown = found(await self._catalog.find_layout(screen.id, version))
        cinema = found(await self._catalog.find_cinema(screen.cinema_id))
        task = ExportTask(name=f"{cinema.name}, {screen.name}")
        answer = await self._answer(task, msgspec.json.encode(shown.layout))
        if not isinstance(answer, Exported):
            raise refuse("RETRY")
        return shown.layout_version, bytes(answer.plan)

    async def _own_screen(self, by: Principal, screen_id: UUID) -> Screen:
        screen = found(await self._catalog.find_screen(screen_id))
        require_own_cinema(by, screen.cinema_id)
        return screen

    async def _answer(self, task: Task, content: bytes) -> Imported | Exported | None:
        """The answer of a process; None if it died or was killed."""
        try:
            said = await self._processes.answer(msgspec.json.encode(task) + b"\n" + content)
            answer = msgspec.json.decode(said, type=TaskResult)
        except ProcessesBusy:
            raise refuse("OVERLOADED") from None
        except (ProcessTooSlow, AnswerTooLong, msgspec.DecodeError):
            return None
        if isinstance(answer, Imported | Exported):
            return answer
        raise refuse("UNUSABLE_PLAN", answer.message, path=answer.path)
