"""Layouts as seating plans that pretix takes."""

from __future__ import annotations

from typing import Any

import jsonschema
import msgspec
import pytest

from cinema.demo.plans import demo_plans
from cinema.domain.seatmap import Layout, grid_layout, parse_layout
from cinema.features.catalog.pretix_export import plan_of
from cinema.features.catalog.pretix_rules import layout_of, read_plan
from tests.unit.domain.seat_drawing import draw_layout, numbered
from tests.unit.features.catalog.pretix_schema import SCHEMA

LAYOUTS: dict[str, Layout] = {
    **{name: plan.layout for name, plan in demo_plans().items()},
    "grid": grid_layout(3, 5),
    "one": grid_layout(1, 1),
    "lettered": numbered(draw_layout("WCr pp", "rrr vv")),
    "shifted": draw_layout("  rr", "rrrr"),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_an_export_is_a_plan_of_pretix(name: str) -> None:
    document = msgspec.json.decode(msgspec.json.encode(plan_of(LAYOUTS[name], name)))
    jsonschema.Draft7Validator(SCHEMA).validate(document)
    guids = [seat["seat_guid"] for row in rows(document) for seat in row["seats"]]
    assert len(set(guids)) == len(guids) == parse_layout(LAYOUTS[name], 1).seat_count
    named = {category["name"] for category in document["categories"]}
    assert {seat["category"] for row in rows(document) for seat in row["seats"]} == named


@pytest.mark.parametrize("name", LAYOUTS)
def test_an_import_of_an_export_gives_the_rows_back(name: str) -> None:
    document = plan_of(LAYOUTS[name], name)
    layout, report = layout_of(*read_plan(msgspec.json.encode(document)))
    assert layout.rows == LAYOUTS[name].rows
    assert (report.name, report.notes) == (name, [])


def rows(document: dict[str, Any]) -> list[dict[str, Any]]:
    (room,) = document["zones"]
    found: list[dict[str, Any]] = room["rows"]
    return found


def test_everything_lies_within_the_plan() -> None:
    document = plan_of(demo_plans()["grand"].layout, "Grand Hall")
    (room,) = document["zones"]
    for row in room["rows"]:
        for seat in row["seats"]:
            x = room["position"]["x"] + row["position"]["x"] + seat["position"]["x"]
            y = room["position"]["y"] + row["position"]["y"] + seat["position"]["y"]
            assert seat["radius"] <= x <= document["size"]["width"] - seat["radius"]
            assert seat["radius"] <= y <= document["size"]["height"] - seat["radius"]


def test_names_and_marks_are_in_the_plan() -> None:
    document = plan_of(numbered(draw_layout("WC")), "Studio")
    (row,) = rows(document)
    assert row["row_number"] == "1"
    assert [
        (seat["seat_guid"], seat["seat_number"], seat["category"]) for seat in row["seats"]
    ] == [
        ("1A", "A", "regular (wheelchair)"),
        ("1B", "B", "regular (companion)"),
    ]
