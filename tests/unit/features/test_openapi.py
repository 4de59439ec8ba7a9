"""The OpenAPI document: complete, resolvable, and true to its own examples."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any, cast

import jsonschema_rs
import msgspec
import pytest

from cinema.app.features import ERRORS, PRODUCT
from cinema.http.connections.upload import Upload
from cinema.http.document.assets import Asset
from cinema.http.document.openapi import error_codes, openapi_document
from cinema.http.routes import Deprecation, Route
from tests.support.bound_routes import ROUTES

SHOWN = [route for route in ROUTES if not route.hidden]
DOCUMENT = openapi_document(ROUTES, ERRORS, PRODUCT, version="1.2.3")


def operation(route: Route) -> dict[str, Any]:
    path = re.sub(r":text\}", "}", route.path)
    return cast("dict[str, Any]", DOCUMENT["paths"][path][route.method.lower()])


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def needed(node: Any, found: dict[str, Any]) -> dict[str, Any]:
    """The schemas that one leads to; a validator with all of them is long in the making."""
    for name in {one.removeprefix("#/components/schemas/") for one in references(node)}:
        if name not in found:
            found[name] = DOCUMENT["components"]["schemas"][name]
            needed(found[name], found)
    return found


def complaints(schema: dict[str, Any], value: Any) -> list[str]:
    whole = {**schema, "components": {"schemas": needed(schema, {})}}
    return [str(error) for error in jsonschema_rs.Draft202012Validator(whole).iter_errors(value)]


def test_every_reference_leads_somewhere() -> None:
    for reference in set(references(DOCUMENT)):
        name = reference.removeprefix("#/components/schemas/")
        assert name in DOCUMENT["components"]["schemas"]


def test_operation_ids_are_unique() -> None:
    ids = [route.operation_id for route in ROUTES]
    assert len(ids) == len(set(ids))


def test_hidden_routes_are_left_out() -> None:
    assert "/docs" not in DOCUMENT["paths"]
    assert DOCUMENT["info"]["version"] == "1.2.3"


OTHER_FORMS = {"turnMessagesOff", "takeStripeEvent", "takeStripeEventUnversioned"}


@pytest.mark.parametrize("route", SHOWN, ids=lambda route: str(route.operation_id))
def test_examples_have_the_documented_form(route: Route) -> None:
    described = operation(route)
    contents = [
        body
        for answer in described["responses"].values()
        for body in answer.get("content", {}).values()
    ]
    # Files, forms and what others send have forms of their own.
    body = described.get("requestBody", {"content": {}})["content"].get("application/json")
    if body is not None:
        assert "example" in body
        contents.append(body)
    else:
        assert route.request in (None, Upload) or route.operation_id in OTHER_FORMS
    if route.response is not None:
        assert "example" in described["responses"][str(route.status)]["content"]["application/json"]
    for content in contents:
        values = [one["value"] for one in content.get("examples", {}).values()]
        if "example" in content:
            values.append(content["example"])
        for value in values:
            assert complaints(content["schema"], value) == []


@pytest.mark.parametrize("route", SHOWN, ids=lambda route: str(route.operation_id))
def test_errors_and_authentication_are_documented(route: Route) -> None:
    described = operation(route)
    assert ("security" in described) == (route.auth != "none")
    for code in error_codes(route, ERRORS):
        answer = described["responses"][str(ERRORS[code].status)]
        assert code in answer["content"]["application/json"]["examples"]
    assert set(route.errors) <= set(error_codes(route, ERRORS))
    assert described["tags"][0] in {tag["name"] for tag in DOCUMENT["tags"]}
    names = re.findall(r"\{(\w+)", route.path)
    documented = [one["name"] for one in described.get("parameters", []) if one["in"] == "path"]
    assert documented == names
    assert ("Idempotency-Key" in str(described.get("parameters"))) == route.idempotent


def test_guests_are_let_in_only_where_a_route_says_so() -> None:
    guests = {route.operation_id for route in SHOWN if route.guests or "guest" in route.roles}
    assert guests == {
        *("beginGuest", "endGuest", "placeHold", "getHold", "extendHold", "releaseHold"),
        *("createBooking", "listBookings", "getBooking", "cancelBooking", "getSeats"),
        *("changeSeats", "exchangeBooking", "putBilling", "quoteRefund", "calculatePrice"),
        *("validatePromoCode", "processPayment", "getPayment", "getGiftCardBalance"),
        *("getInvoiceOfPayment", "getInvoice", "listDocumentsOfBooking", "getCalendarOfBooking"),
        *("listTickets", "getTicket", "getTicketCodeAsSvg", "getTicketCodeAsPng"),
        *("getTicketsAsPdf", "getTicketForWallet", "reissueTicket"),
        *("joinWaitingRoom", "enterShowtime", "leaveWaitingRoom"),
        *("joinWaitlist", "getWaitlistEntry", "leaveWaitlist"),
        *("watchShowtime", "listRecommendations", "sendPageEvents"),
    }
    for route in SHOWN:
        if route.auth in {"bearer", "optional"}:
            assert ("FORBIDDEN" in error_codes(route, ERRORS)) or route.guests


def test_links_have_a_scheme_of_their_own_where_there_are_any() -> None:
    (order,) = [route for route in SHOWN if route.operation_id == "getOrder"]
    assert operation(order)["security"] == [{"link": []}]
    assert DOCUMENT["components"]["securitySchemes"]["link"]["name"] == "Link-Token"
    without = openapi_document([SHOWN[0]], ERRORS, PRODUCT, version="1")
    assert set(without["components"]["securitySchemes"]) == {"bearer"}


OF_SEVERAL = {"Movies", "Cinemas", "Screens", "Showtimes", "Prices", "Concessions"}
"""Rows that several people change and delete."""

WITHOUT_VERSIONS = {
    # What is one's own.
    *("putBilling", "putMessageChoices", "replacePreferences"),
    # A switch, not a description that is changed.
    *("putWaitingRoom", "putFilmRoom"),
    # The picture has an address of its own, and nothing else of the product changes.
    "removeProductImage",
}
CHANGES = [
    route
    for route in SHOWN
    if route.operation_id not in WITHOUT_VERSIONS
    and (route.method == "PUT" or (route.tag in OF_SEVERAL and route.method in {"PATCH", "DELETE"}))
]


@pytest.mark.parametrize("route", CHANGES, ids=lambda route: f"{route.method} {route.path}")
def test_whoever_replaces_or_deletes_something_has_seen_it(route: Route) -> None:
    assert route.if_match
    assert {"PRECONDITION_REQUIRED", "PRECONDITION_FAILED"} <= set(error_codes(route, ERRORS))
    headers = {one["name"]: one for one in operation(route)["parameters"] if one["in"] == "header"}
    assert headers["If-Match"]["required"]
    assert "If-None-Match" not in headers
    assert "304" not in operation(route)["responses"]
    if route.method == "PUT":
        # Whoever has changed a row can change it again without another look.
        assert "ETag" in operation(route)["responses"]["200"]["headers"]


def test_query_parameters_come_from_the_type() -> None:
    (listing,) = [route for route in SHOWN if route.operation_id == "listShowtimes"]
    parameters = operation(listing)["parameters"]
    names = {one["name"] for one in parameters if one["in"] == "query"}
    assert names == {"date", "date_from", "date_to", "cinema_id", "movie_id", "limit", "cursor"}


@pytest.mark.parametrize("name", ["docs.html", "docs.css", "docs.js", "icon.svg"])
def test_page_needs_nothing_from_elsewhere(name: str) -> None:
    asset = Asset(name)
    text = asset.body.decode().replace("http://www.w3.org/2000/svg", "")
    assert "http://" not in text
    assert "https://" not in text
    assert not re.search(r"<script>|<style>|style=|onclick=|\beval\(|innerHTML", text)
    assert "'unsafe-inline'" not in asset.medium.content_security_policy


def test_a_deprecated_operation_says_what_to_use_instead() -> None:
    ending = Deprecation(since=date(2026, 1, 1), sunset=date(2026, 2, 1), instead="`GET /new`")
    shown = next(one for one in SHOWN if one.method == "GET" and one.description)
    old = msgspec.structs.replace(shown, deprecation=ending)
    document = openapi_document([old], ERRORS, PRODUCT, version="1")
    described = next(iter(document["paths"].values()))["get"]
    assert described["deprecated"] is True
    assert described["description"].endswith(
        "Deprecated, ends on 2026-02-01. Use `GET /new` instead."
    )
    assert "deprecated" not in operation(shown)
