"""Every route that takes an idempotency key: which requests it holds for the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import msgspec
import pytest

from cinema.domain.idempotency import meaning, request_fingerprint
from cinema.http.connections.upload import Upload
from cinema.http.routes import Route
from tests.support.bound_routes import CONTROL_ROUTES, ROUTES

KEYED = [route for route in (*ROUTES, *CONTROL_ROUTES) if route.idempotent]
WITH_BODY = [route for route in KEYED if route.request not in (None, Upload)]
"""Those with a JSON body: a file is the same request if its bytes are."""

ONE_VALUE = {"extendHold", "payOutRefund"}
"""Those whose body has one form only."""

NOT_IN_THE_FINGERPRINT = {("register", "password")}


def fingerprint(route: Route, body: Any) -> bytes:
    decoded = msgspec.json.decode(msgspec.json.encode(body), type=route.request)
    return request_fingerprint(meaning(decoded))


def backwards(value: Any) -> Any:
    """The same JSON with the members of every object in the opposite order."""
    if isinstance(value, dict):
        return {name: backwards(value[name]) for name in reversed(value)}
    return [backwards(item) for item in value] if isinstance(value, list) else value


def explicit(value: Any) -> Any:
    """A decoded input as JSON with every default written out."""
    if isinstance(value, msgspec.Struct):
        return {
            field.encode_name: explicit(getattr(value, field.name))
            for field in msgspec.structs.fields(value)
        }
    if isinstance(value, list | tuple):
        return [explicit(item) for item in value]
    return msgspec.to_builtins(value)


def changes(value: Any) -> Iterator[tuple[str, Any]]:
    """Copies with one leaf changed, and the name of the member it is in."""
    if isinstance(value, dict):
        for name, inner in value.items():
            for below, changed in changes(inner):
                yield below or name, {**value, name: changed}
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            for below, changed in changes(inner):
                yield below, [*value[:at], changed, *value[at + 1 :]]
    elif isinstance(value, bool):
        yield "", not value
    elif isinstance(value, int | float):
        yield "", value + 1
    elif isinstance(value, str):
        for other in (value[:-1] + chr(ord(value[-1]) + 1), value[:-1]) if value else ():
            yield "", other


def by_name(route: Route) -> str:
    return route.operation_id


def test_operations_are_told_apart_by_name() -> None:
    names = [route.operation_id for route in (*ROUTES, *CONTROL_ROUTES)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("route", WITH_BODY, ids=by_name)
def test_another_spelling_is_the_same_request(route: Route) -> None:
    example = route.request_example
    decoded = msgspec.convert(example, route.request)
    assert fingerprint(route, backwards(example)) == fingerprint(route, example)
    assert fingerprint(route, explicit(decoded)) == fingerprint(route, example)


@pytest.mark.parametrize("route", WITH_BODY, ids=by_name)
def test_another_value_is_another_request(route: Route) -> None:
    example = route.request_example
    tried = 0
    for name, changed in changes(example):
        try:
            other = fingerprint(route, changed)
        except msgspec.ValidationError:
            continue
        tried += 1
        left_out = (route.operation_id, name) in NOT_IN_THE_FINGERPRINT
        assert (other == fingerprint(route, example)) == left_out, changed
    assert tried or route.operation_id in ONE_VALUE


def test_every_request_body_can_be_fingerprinted() -> None:
    assert len(WITH_BODY) > 30
    assert all(cast("Any", route.request_example) is not None for route in WITH_BODY)
