"""The control endpoint's OpenAPI document against a running server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple

import hypothesis
import pytest
import requests
import schemathesis
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from cinema.settings import announced
from tests.support.served import STOP_TIMEOUT_S
from tests.support.server_process import ROOT
from tests.support.wrong_requests import is_wrong_as_sent

# The server is another process: tracing would show nothing of it, and takes as long as the rest.
pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.no_cover]

TOKEN = "operators-of-this-house-know-7f3a9c51"
EXAMPLES = 15
"""Requests per operation; a nightly run may take more."""

CANNOT_KNOW = [positive_data_acceptance]
NOT_WRONG = [*CANNOT_KNOW, negative_data_rejection]
"""What was made wrong did not get into the request, or nobody looks: a body is over the limit.
That the answer is documented is checked all the same."""


class Endpoint(NamedTuple):
    """Where it is, and a showtime that the server has."""

    url: str
    showtime_id: str


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    data_dir = tmp_path_factory.mktemp("control") / "data"
    log = data_dir.with_name("log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "cinema", "serve", "--port", "0"],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                "DATA_DIR": str(data_dir),
                "DEMO_PAST": "false",
                "CONTROL_TOKEN": TOKEN,
            },
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        api = next(word for word in line.split() if word.startswith("http://"))
        (url,) = announced(data_dir)
        found = requests.get(f"{api}/api/v1/showtimes?limit=1", timeout=10).json()
        yield Endpoint(url, found["data"][0]["id"])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_TIMEOUT_S)
        process.stdout.close()
    assert "exception" not in log.read_text()


@pytest.mark.parametrize(
    ("known", "mode"),
    [
        pytest.param(True, schemathesis.GenerationMode.POSITIVE, id="known_showtime"),
        pytest.param(False, schemathesis.GenerationMode.POSITIVE, id="any_showtime"),
        pytest.param(False, schemathesis.GenerationMode.NEGATIVE, id="wrong"),
    ],
)
def test_every_operation_answers_as_documented(
    endpoint: Endpoint, known: bool, mode: schemathesis.GenerationMode
) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    document = schemathesis.openapi.from_url(
        f"{endpoint.url}/control/v1/openapi.json", headers=headers
    ).exclude(operation_id="drainNode")
    complaints: list[str] = []
    for result in document.get_all_operations():
        operation = result.ok()

        @hypothesis.settings(
            max_examples=EXAMPLES,
            database=None,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def answers_as_documented(case: schemathesis.Case) -> None:
            if known and "showtime_id" in case.path_parameters:
                case.path_parameters["showtime_id"] = endpoint.showtime_id
            response = case.call(headers=headers)
            if response.status_code != 414:
                excluded = NOT_WRONG if response.status_code == 413 else CANNOT_KNOW
                if mode.is_negative and not is_wrong_as_sent(case, response.request, headers):
                    excluded = NOT_WRONG
                case.validate_response(response, excluded_checks=excluded)

        if mode.is_negative and not (operation.body or any(operation.iter_parameters())):
            continue
        try:
            answers_as_documented()
        except (AssertionError, BaseExceptionGroup) as complaint:
            complaints.append(f"{operation.label}: {complaint}")
    assert not complaints, "\n\n".join(complaints)
