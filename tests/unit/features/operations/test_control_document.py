"""The control endpoint's OpenAPI document: complete, and true to its own examples."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from cinema.app.features import ERRORS
from cinema.features.operations.routes import CONTROL
from cinema.http.document.openapi import error_codes, openapi_document
from cinema.http.routes import Route
from tests.support.bound_routes import CONTROL_ROUTES as ROUTES

DOCUMENT = openapi_document(ROUTES, ERRORS, CONTROL, version="1.2.3")


def complaints(schema: dict[str, Any], value: Any) -> list[str]:
    whole = {**schema, "components": DOCUMENT["components"]}
    return [str(error) for error in jsonschema_rs.Draft202012Validator(whole).iter_errors(value)]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: str(route.operation_id))
def test_examples_have_the_documented_form(route: Route) -> None:
    path = route.path.replace(":text}", "}")
    described = DOCUMENT["paths"][path][route.method.lower()]
    bodies = [described["responses"][str(route.status)]["content"]["application/json"]]
    if "requestBody" in described:
        bodies.append(described["requestBody"]["content"]["application/json"])
    for body in bodies:
        assert complaints(body["schema"], body["example"]) == []
    for code in error_codes(route, ERRORS):
        assert str(ERRORS[code].status) in described["responses"]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: str(route.operation_id))
def test_every_call_asks_for_the_token(route: Route) -> None:
    assert route.auth == "bearer"
    assert route.roles == {"admin"}
    assert route.path.startswith("/control/v1/")


def test_operation_ids_are_unique() -> None:
    ids = [route.operation_id for route in ROUTES]
    assert len(ids) == len(set(ids))
