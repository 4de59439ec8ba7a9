"""Seating plans of pretix over HTTP: in with a report, and out."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aiohttp
import msgspec
import pytest

from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused
from cinema.features.catalog.layout_service import AT_ONCE, WAITING_LIMIT, LayoutsService
from cinema.features.catalog.layout_store import LayoutsRepository
from cinema.features.catalog.shapes import ImportQuery
from cinema.features.catalog.store import CatalogRepository
from cinema.storage.database.transactions import Pool
from tests.e2e.api.house import LAYOUT, UNKNOWN_ID, Answer, House, open_house
from tests.support.pretix_plans import Json, plan, playhouse, row, texts, zone

pytestmark = pytest.mark.process

PLAN = plan(
    zone(
        row("12", ["A", "B", "", "C"]),
        row("B", texts(1, 4), y=30),
        row("7", texts(1, 4), y=60, row_label="Row"),
    )
)


@pytest.fixture
async def house(database: str, tmp_path: Any) -> AsyncIterator[House]:
    async with open_house(database, upload_dir=tmp_path / "uploads", max_upload_size_mb=1) as house:
        yield house


async def upload(
    house: House,
    content: Json | bytes,
    query: str = "",
    *,
    person: str | None = "manager",
    screen_id: str = "",
    seen: str | None = '"1"',
    key: str | None = None,
) -> Answer:
    if not isinstance(content, bytes):
        content = msgspec.json.encode(content)
    form = aiohttp.FormData()
    form.add_field("file", io.BytesIO(content), filename="plan.json")
    headers = {} if person is None else {"Authorization": f"Bearer {house.token(person)}"}
    conditions = {"If-Match": seen, "Idempotency-Key": key}
    headers |= {name: value for name, value in conditions.items() if value is not None}
    path = f"screens/{screen_id or house.screen_id}/layout/import{query}"
    async with house.client.post(path, data=form, headers=headers) as reply:
        return Answer(reply.status, reply.headers, await reply.json())


async def layout_of(house: House) -> Any:
    return (await house.ask(None, "GET", f"screens/{house.screen_id}/layout")).data


async def test_a_theatre_of_pretix_is_sold_by_its_own_names(house: House) -> None:
    screen_id = await house.screen(grid={"rows": 1, "columns": 1})
    answer = await upload(house, playhouse(), screen_id=screen_id)
    assert (answer.status, answer.data["screen"]["seat_count"]) == (200, 300)
    showtime_id = await house.showtime(screen_id=screen_id)
    seats = (await house.ask(None, "GET", f"showtimes/{showtime_id}/seats")).data["seats"]
    assert len(seats) == 300
    accessible = {one["label"] for one in seats if one.get("accessible")}
    companion = {one["label"] for one in seats if one.get("companion")}
    assert (accessible, companion) == ({"M13", "M16"}, {"M14", "M15"})
    assert (await house.hold("ada", showtime_id, "A8", "A9", "T16")).status == 201


async def test_a_plan_is_the_next_version_of_the_layout(house: House) -> None:
    answer = await upload(house, PLAN, key="one plan")
    assert answer.status == 200
    assert (answer.data["screen"]["layout_version"], answer.data["screen"]["seat_count"]) == (2, 11)
    report = answer.data["report"]
    assert [one["label"] for one in report["rows"]] == ["12", "B", "G"]
    assert report["dropped"]["row.row_label"] == 1
    assert [(one["code"], one["paths"]) for one in report["notes"]] == [
        ("ROW_RENAMED", ["$.zones[0].rows[2]"])
    ]
    shown = await layout_of(house)
    assert shown["layout"]["rows"][0]["seats"] == [
        {"number": 1, "category": "Stalls"},
        {"number": 2, "category": "Stalls"},
        {"number": 3, "category": "Stalls", "gap_before": 1.0},
    ]
    # The same request again has its answer again, and no third version.
    assert (await upload(house, PLAN, key="one plan")).data == answer.data
    showtime_id = await house.showtime()
    await house.held("ada", showtime_id, "12C", "G4")
    (newest, _) = (await house.ask("manager", "GET", f"screens/{house.screen_id}/layouts")).data
    assert (newest["layout_version"], newest["created_by"]) == (2, house.people["manager"])


async def test_a_dry_run_only_reports(house: House) -> None:
    before = await layout_of(house)
    dry = await upload(house, PLAN, "?dry_run=true")
    assert (dry.status, dry.data["screen"]) == (200, None)
    assert await layout_of(house) == before
    stale = await upload(house, PLAN, "?dry_run=true", seen='"2"')
    assert (stale.error, stale.details) == ((412, "PRECONDITION_FAILED"), {"layout_version": 1})
    assert (await upload(house, PLAN)).data["report"] == dry.data["report"]


async def test_the_screen_may_be_below_the_seats(house: House) -> None:
    answer = await upload(house, PLAN, "?screen_at=bottom")
    assert [one["label"] for one in answer.data["report"]["rows"]] == ["G", "B", "12"]
    assert (await upload(house, PLAN, "?screen_at=left")).error == (400, "VALIDATION_ERROR")


async def test_what_is_no_plan_changes_nothing(house: House) -> None:
    bad = plan(zone(row("A", texts(1, 2))))
    bad["zones"][0]["rows"][0]["seats"][1]["position"] = None
    for content, path in (
        (bad, "$.zones[0].rows[0].seats[1].position"),
        (plan(), "$.zones"),
        (b"\x00", "$"),
        (b"[" * 100_000, "$"),
    ):
        refused = await upload(house, content)
        assert refused.error == (422, "UNUSABLE_PLAN")
        assert refused.details == {"path": path}
    assert (await upload(house, b" " * ((1 << 20) + 1))).error == (413, "PAYLOAD_TOO_LARGE")
    assert (await layout_of(house))["layout_version"] == 1


async def test_only_who_may_and_has_seen_it_imports(house: House) -> None:
    for person in ("staff", "ada", "manager elsewhere"):
        assert (await upload(house, PLAN, person=person)).error == (403, "FORBIDDEN")
    assert (await upload(house, PLAN, person=None)).status == 401
    assert (await upload(house, PLAN, screen_id=UNKNOWN_ID)).error == (404, "NOT_FOUND")
    assert (await upload(house, PLAN, seen=None)).error == (428, "PRECONDITION_REQUIRED")
    assert (await upload(house, PLAN, seen="*")).error == (428, "PRECONDITION_REQUIRED")
    assert (await upload(house, PLAN, seen='"7"')).error == (412, "PRECONDITION_FAILED")


async def exported(house: House, query: str = "", **headers: str) -> tuple[int, Any, Any]:
    headers["Authorization"] = f"Bearer {house.token('manager')}"
    path = f"screens/{house.screen_id}/layout/export{query}"
    async with house.client.get(path, headers=headers) as reply:
        raw = await reply.read()
        return reply.status, reply.headers, msgspec.json.decode(raw) if raw else None


async def test_a_layout_goes_out_and_comes_back(house: House) -> None:
    status, headers, document = await exported(house)
    assert (status, headers["ETag"], headers["Content-Type"]) == (200, '"1"', "application/json")
    assert document["name"].startswith("House, Screen ")
    assert (await exported(house, **{"If-None-Match": '"1"'}))[0] == 304
    back = await upload(house, document)
    assert back.data["screen"]["layout_version"] == 2
    assert back.data["report"]["notes"] == []
    assert (await layout_of(house))["layout"] == LAYOUT
    assert (await exported(house, "?version=1"))[2] == document
    assert (await exported(house, "?version=9"))[0] == 404
    path = f"screens/{house.screen_id}/layout/export"
    assert (await house.ask("manager elsewhere", "GET", path)).error == (403, "FORBIDDEN")


# --- processes that fail


def service(pool: Pool, program: str, time_limit_s: float = 30.0) -> LayoutsService:
    return LayoutsService(
        CatalogRepository(pool),
        LayoutsRepository(pool),
        now=lambda: datetime.now(UTC),
        command=(sys.executable, "-I", "-c", program),
        time_limit_s=time_limit_s,
    )


@pytest.mark.parametrize(
    "program",
    [
        "import os; os.abort()",
        "print('{')",
        "import time; time.sleep(600)",
        "import sys\nwhile True: sys.stdout.buffer.write(bytes(1 << 20))",
        'print(\'{"type":"exported","plan":{}}\')',
    ],
    ids=["dies", "half", "slow", "endless", "other"],
)
async def test_a_process_that_fails_has_made_no_layout(
    house: House, pool: Pool, program: str
) -> None:
    admin = Principal(UUID(house.people["admin"]).bytes, "admin", bytes(16), 0.0)
    slow = service(pool, program, 0.5 if "sleep" in program else 30.0)
    with pytest.raises(Refused) as caught:
        await slow.import_plan(admin, UUID(house.screen_id), b"{}", ImportQuery(), frozenset({1}))
    assert caught.value.rejection.code == "UNUSABLE_PLAN"
    if "exported" not in program:
        with pytest.raises(Refused) as caught:
            await slow.export_plan(admin, UUID(house.screen_id), None)
        assert caught.value.rejection.code == "RETRY"


async def test_too_many_plans_at_once_are_refused(house: House, pool: Pool) -> None:
    admin = Principal(UUID(house.people["admin"]).bytes, "admin", bytes(16), 0.0)
    layouts = service(pool, "import time; time.sleep(600)")
    asked = [
        asyncio.ensure_future(layouts.export_plan(admin, UUID(house.screen_id), None))
        for _ in range(AT_ONCE + WAITING_LIMIT + 1)
    ]
    done, waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    with pytest.raises(Refused) as caught:
        done.pop().result()
    assert caught.value.rejection.code == "OVERLOADED"
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
