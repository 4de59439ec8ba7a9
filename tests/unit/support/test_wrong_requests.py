from __future__ import annotations

from typing import Any

import pytest
import requests
import schemathesis
from schemathesis.core.mutations import Mutation, MutationChannel, OperatorKind
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation import GenerationMode
from schemathesis.generation.meta import (
    CaseMetadata,
    FuzzingPhaseData,
    GenerationInfo,
    PhaseInfo,
    TestPhase,
)

from tests.support.wrong_requests import is_wrong_as_sent

QUERY, HEADER, COOKIE = (
    ParameterLocation.QUERY,
    ParameterLocation.HEADER,
    ParameterLocation.COOKIE,
)
URL = "http://cinema.example"
STATUSES = ["dead", "sent"]
STATUS = {"type": "string", "enum": STATUSES}


def _parameter(name: str, where: str, *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": where, "required": required, "schema": STATUS}


DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "mails", "version": "1"},
    "paths": {
        "/mails/{mail_id}": {
            "get": {
                "parameters": [
                    _parameter("mail_id", "path", required=True),
                    _parameter("status", "query"),
                    _parameter("X-Status", "header"),
                    _parameter("X-Must", "header", required=True),
                    _parameter("status", "cookie"),
                ],
                "responses": {"200": {"description": "mails"}},
            }
        }
    },
}
OPERATION = schemathesis.openapi.from_dict(DOCUMENT)["/mails/{mail_id}"]["get"]


def _case(*made_wrong: tuple[ParameterLocation, str | None]) -> schemathesis.Case:
    mutations = tuple(
        Mutation(
            path=(),
            parameter_location=location,
            schema_pointer="",
            channel=MutationChannel.SCHEMA,
            operator=OperatorKind.NEGATE_CONSTRAINTS,
            keywords=("enum",),
            parameter=name,
            original_value=None,
            new_value=None,
        )
        for location, name in made_wrong
    )
    data = FuzzingPhaseData(
        description=None,
        parameter=None,
        parameter_location=None,
        location=None,
        mutations=mutations,
    )
    return OPERATION.Case(
        _meta=CaseMetadata(
            generation=GenerationInfo(time=0.0, mode=GenerationMode.NEGATIVE),
            components={},
            phase=PhaseInfo(name=TestPhase.FUZZING, data=data),
        )
    )


def _is_wrong(
    made_wrong: tuple[ParameterLocation, str | None],
    query: str = "",
    *,
    headers: dict[str, str] | None = None,
    own: dict[str, str] | None = None,
) -> bool:
    sent = {**(headers or {}), **(own or {})}
    request = requests.Request("GET", f"{URL}/mails/dead{query}", headers=sent).prepare()
    return is_wrong_as_sent(_case(made_wrong), request, own or {})


@pytest.mark.parametrize("query", ["?status=", "?status=gone", "?limit=1&status=gone", "?status"])
def test_a_wrong_value_in_the_query_is_wrong(query: str) -> None:
    assert _is_wrong((QUERY, "status"), query)


@pytest.mark.parametrize("query", ["", "?limit=40", "?statuses=gone"])
def test_a_value_that_left_nothing_in_the_query_is_not(query: str) -> None:
    assert not _is_wrong((QUERY, "status"), query)


def test_headers_are_told_apart_without_regard_to_case() -> None:
    assert _is_wrong((HEADER, "X-Status"), headers={"x-status": "gone"})
    assert not _is_wrong((HEADER, "X-Status"), headers={"x-other": "gone"})


def test_a_missing_header_is_wrong_only_if_it_is_required() -> None:
    assert _is_wrong((HEADER, "X-Must"))
    assert not _is_wrong((HEADER, "X-Status"))


def test_a_header_that_the_test_itself_sends_is_not_wrong() -> None:
    assert not _is_wrong((HEADER, "X-Must"), own={"x-must": "dead"})


def test_a_cookie_is_wrong_if_it_was_sent() -> None:
    assert _is_wrong((COOKIE, "status"), headers={"Cookie": "a=1; status=gone"})
    assert not _is_wrong((COOKIE, "status"), headers={"Cookie": "a=1"})
    assert not _is_wrong((COOKIE, "status"))


def test_a_parameter_that_the_document_lacks_is_wrong_if_it_was_sent() -> None:
    assert _is_wrong((QUERY, None), "?status=dead&=false")
    assert not _is_wrong((QUERY, None), "?status=dead")


def test_a_wrong_path_is_wrong() -> None:
    assert _is_wrong((ParameterLocation.PATH, "mail_id"))


def test_one_wrong_part_is_enough() -> None:
    request = requests.Request("GET", f"{URL}/mails/dead?status=gone").prepare()
    assert is_wrong_as_sent(_case((COOKIE, "status"), (QUERY, "status")), request, {})


def test_a_request_of_which_nobody_says_what_is_wrong_counts_as_wrong() -> None:
    request = requests.Request("GET", f"{URL}/mails/dead").prepare()
    assert is_wrong_as_sent(_case(), request, {})
    assert is_wrong_as_sent(OPERATION.Case(), request, {})


@pytest.mark.parametrize(
    ("status", "is_wrong"), [([], False), (["gone", "dead"], True), ("", True)]
)
def test_it_goes_by_what_schemathesis_makes_of_a_value(status: object, is_wrong: bool) -> None:
    parts = OPERATION.Case(
        path_parameters={"mail_id": "dead"}, query={"status": status}
    ).as_transport_kwargs(base_url=URL)
    request = requests.Request("GET", parts["url"], params=parts["params"]).prepare()
    assert is_wrong_as_sent(_case((QUERY, "status")), request, {}) is is_wrong
