"""What counts as a change of the API that breaks its clients."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.api_changes import breaking_changes, essence

Json = dict[str, Any]

DOCUMENT: Json = {
    "paths": {
        "/seats": {
            "get": {
                "summary": "See seats",
                "parameters": [
                    {"name": "row", "in": "query", "schema": {"type": "string", "maxLength": 3}},
                    {"name": "If-None-Match", "in": "header", "schema": {"type": "string"}},
                ],
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/Seat"}}
                        }
                    },
                    "404": {"description": "No such row."},
                },
            },
            "post": {
                "security": [{"bearer": []}],
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Wish"}}
                    },
                },
                "responses": {"201": {"description": "Held."}},
            },
        }
    },
    "components": {
        "schemas": {
            "Seat": {
                "title": "Seat",
                "type": "object",
                "required": ["label", "title"],
                "properties": {
                    "label": {"type": "string"},
                    "title": {"type": "string"},
                    "price": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                    "beside": {"type": "array", "items": {"$ref": "#/components/schemas/Seat"}},
                },
            },
            "Wish": {
                "type": "object",
                "additionalProperties": False,
                "required": ["labels"],
                "properties": {
                    "labels": {"type": "array", "items": {"type": "string"}, "maxItems": 10},
                    "kind": {"enum": ["near", "far"]},
                    "at": {"type": "number"},
                },
            },
        }
    },
}


def changed(change: Callable[[Json, Json, Json, Json], object]) -> list[str]:
    """What breaks by a change to: the reading operation, the writing one, and their schemas."""
    later = copy.deepcopy(DOCUMENT)
    both, schemas = later["paths"]["/seats"], later["components"]["schemas"]
    change(both["get"], both["post"], schemas["Seat"], schemas["Wish"])
    return breaking_changes(DOCUMENT, later)


OK = {"schema": {"type": "string"}}


@pytest.mark.parametrize(
    "change",
    [
        lambda get, post, seat, wish: None,
        lambda get, post, seat, wish: get["parameters"].append(
            {"name": "new", "in": "query", **OK}
        ),
        lambda get, post, seat, wish: get["parameters"].pop(1),
        lambda get, post, seat, wish: get["parameters"][0]["schema"].pop("maxLength"),
        lambda get, post, seat, wish: get["responses"].pop("404"),
        lambda get, post, seat, wish: get["responses"].update({"202": {}}),
        lambda get, post, seat, wish: seat["properties"].update(new={"type": "string"}),
        lambda get, post, seat, wish: seat["required"].append("price"),
        lambda get, post, seat, wish: seat["properties"].update(price={"type": "integer"}),
        lambda get, post, seat, wish: wish["properties"].update(new={"type": "string"}),
        lambda get, post, seat, wish: wish["required"].clear(),
        lambda get, post, seat, wish: wish["properties"]["labels"].update(maxItems=20),
        lambda get, post, seat, wish: wish["properties"]["kind"]["enum"].append("alone"),
        lambda get, post, seat, wish: post.update(security=[{}, {"bearer": []}]),
    ],
)
def test_what_breaks_nobody(change: Callable[[Json, Json, Json, Json], object]) -> None:
    assert changed(change) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda get, post, seat, wish: get["parameters"].pop(0),
            "GET /seats: parameter row is gone",
        ),
        (
            lambda get, post, seat, wish: get["parameters"][0].update(required=True),
            "GET /seats: parameter row is required now",
        ),
        (
            lambda get, post, seat, wish: get["parameters"].append(
                {"name": "new", "in": "header", "required": True, **OK}
            ),
            "GET /seats: parameter new is required now",
        ),
        (
            lambda get, post, seat, wish: get["parameters"][0]["schema"].update(maxLength=2),
            "GET /seats: parameter row: maxLength is 2 now",
        ),
        (
            lambda get, post, seat, wish: get["parameters"][0]["schema"].update(pattern="^A"),
            "GET /seats: parameter row: pattern is ^A now",
        ),
        (
            lambda get, post, seat, wish: get.update(security=[{"bearer": []}]),
            "GET /seats: needs a token now",
        ),
        (
            lambda get, post, seat, wish: get["responses"].pop("200"),
            "GET /seats: answers no 200 any more",
        ),
        (
            lambda get, post, seat, wish: get["responses"]["200"].pop("content"),
            "GET /seats: answer 200: is no application/json any more",
        ),
        (
            lambda get, post, seat, wish: seat["properties"].pop("title"),
            "GET /seats: answer 200.title: is gone",
        ),
        (
            lambda get, post, seat, wish: seat["required"].pop(0),
            "GET /seats: answer 200.label: is not always there any more",
        ),
        (
            lambda get, post, seat, wish: seat["properties"].update(label={"type": "integer"}),
            "GET /seats: answer 200.label: is ['integer'] now",
        ),
        (
            lambda get, post, seat, wish: seat["properties"]["price"]["anyOf"].append(
                {"type": "string"}
            ),
            "GET /seats: answer 200.price: is ['string'] now",
        ),
        (
            lambda get, post, seat, wish: seat["properties"].update(beside={"type": "array"}),
            "GET /seats: answer 200.beside[]: may be anything now",
        ),
        (
            lambda get, post, seat, wish: wish["properties"].pop("at"),
            "POST /seats: body.at: is refused now",
        ),
        (
            lambda get, post, seat, wish: wish["required"].append("at"),
            "POST /seats: body.at: is required now",
        ),
        (
            lambda get, post, seat, wish: wish["properties"].update(at={"type": "integer"}),
            "POST /seats: body.at: takes only ['integer'] now",
        ),
        (
            lambda get, post, seat, wish: wish["properties"]["kind"]["enum"].pop(),
            "POST /seats: body.kind: takes only ['near'] now",
        ),
        (
            lambda get, post, seat, wish: wish["properties"]["labels"].update(maxItems=5),
            "POST /seats: body.labels: maxItems is 5 now",
        ),
        (
            lambda get, post, seat, wish: wish["properties"]["labels"].update(minItems=1),
            "POST /seats: body.labels: minItems is 1 now",
        ),
        (
            lambda get, post, seat, wish: post.pop("requestBody"),
            "POST /seats: takes no body any more",
        ),
        (
            lambda get, post, seat, wish: post["requestBody"].update(content={}),
            "POST /seats: takes no application/json any more",
        ),
    ],
)
def test_what_breaks_somebody(
    change: Callable[[Json, Json, Json, Json], object], told: str
) -> None:
    assert changed(change) == [told]


def test_an_operation_that_is_gone_breaks_its_clients() -> None:
    later = copy.deepcopy(DOCUMENT)
    del later["paths"]["/seats"]["post"]
    assert breaking_changes(DOCUMENT, later) == ["POST /seats: is gone"]
    assert breaking_changes(DOCUMENT, {**DOCUMENT, "paths": {}}) == [
        "GET /seats: is gone",
        "POST /seats: is gone",
    ]


def test_a_body_that_was_optional_may_not_become_required() -> None:
    before = copy.deepcopy(DOCUMENT)
    before["paths"]["/seats"]["post"]["requestBody"]["required"] = False
    assert breaking_changes(before, DOCUMENT) == ["POST /seats: the body is required now"]


def test_what_is_kept_of_a_release_has_all_that_could_break_and_no_texts() -> None:
    kept = essence({**DOCUMENT, "info": {"title": "cinema"}, "tags": []})
    assert "summary" not in kept["paths"]["/seats"]["get"]
    # A field may be called as a text is called.
    assert set(kept["components"]["schemas"]["Seat"]["properties"]) == {
        "label",
        "title",
        "price",
        "beside",
    }
    assert "title" not in kept["components"]["schemas"]["Seat"]
    assert breaking_changes(kept, DOCUMENT) == breaking_changes(DOCUMENT, kept) == []
