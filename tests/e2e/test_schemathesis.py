"""The OpenAPI document against the running server: what it promises is what one gets."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import hypothesis
import pytest
import requests
import schemathesis
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from cinema.features.events.shapes import WAIT_LIMIT_S
from tests.support.wrong_requests import is_wrong_as_sent

# The server is another process: tracing would show nothing of it, and takes as long as the rest.
pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.no_cover]

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
EXAMPLES = 15
"""Requests per operation and caller; a nightly run may take more."""

FIRST_EXAMPLES = 4
"""Requests that come first. If the caller may not call the operation, they say so, and all others
would too: the server reads nothing else of them."""

NOT_ALLOWED = {401, 403}
NOT_EVEN_ROUTED = {404, 405, 414}
"""A wrong id or method is refused before anybody asks who calls."""

CANNOT_KNOW = [positive_data_acceptance]
"""A schema cannot say which ids exist, which cursors are ours, or whose hold it is."""

NOT_WRONG = [*CANNOT_KNOW, negative_data_rejection]
"""What was made wrong did not get into the request, or nobody looks: a body is over the limit.
That the answer is documented is checked all the same."""

CALLERS = {
    "customer": ("customer@cinema.example", "demo-customer"),
    "admin": ("admin@cinema.example", "demo-admin"),
}


@pytest.fixture(scope="module")
def database(postgres_server: str) -> Iterator[str]:
    """The address of an empty database for the server to fill."""
    name = f"cinema_schemathesis_{os.getpid()}"
    asyncio.run(_execute(postgres_server, f"create database {name}"))
    yield urlunsplit(urlsplit(postgres_server)._replace(path=f"/{name}"))
    asyncio.run(_execute(postgres_server, f"drop database {name} with (force)"))


@pytest.fixture(scope="module")
def server(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with demo data."""
    data_dir = tmp_path_factory.mktemp("data")
    with (data_dir / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "cinema", "serve", "--port", "0", "--bcrypt-cost", "10"],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                "DATABASE_URL": database,
                "DEMO_PAST": "false",
                "DATA_DIR": str(data_dir),
                **LIMITS,
            },
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        address = next((word for word in line.split() if word.startswith("http://")), "")
        assert address, (data_dir / "log").read_text()
        _await_ready(address)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_TIMEOUT_S)
        process.stdout.close()
    # Whatever was sent, nothing may have gone wrong inside.
    assert "exception" not in (data_dir / "log").read_text()


LIMITS = {
    # Hundreds of wrong guesses from one address; throttles have tests of their own.
    "LOGIN_FAILURES_PER_ADDRESS": "1000000",
    "LOGIN_FAILURES_PER_ACCOUNT_AND_ADDRESS": "1000000",
    "LOGIN_FAILURES_PER_ACCOUNT_PER_HOUR": "1000000",
    "PROMO_GUESSES_PER_HOUR_PER_ADDRESS": "1000000",
}

ANY_TEXT = {"type": "string"}
ENDS_SESSIONS = {"logout", "logoutEverywhere"}


def _headers_of(server: str, caller: str) -> dict[str, str]:
    """What a caller sends, with a new access token."""
    if caller not in CALLERS:
        return {}
    email, password = CALLERS[caller]
    answer = requests.post(
        f"{server}/api/v1/auth/login", json={"email": email, "password": password}, timeout=10
    )
    assert answer.status_code == requests.codes.ok, answer.text
    return {"Authorization": f"Bearer {answer.json()['data']['access_token']}"}


@pytest.fixture(scope="module")
def document(server: str) -> schemathesis.BaseSchema:
    """What the server says of itself, without what no plain request can try."""
    loaded = schemathesis.openapi.from_url(f"{server}/api/v1/openapi.json")
    return loaded.exclude(operation_id="watchShowtime")


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("caller", ["anonymous", *CALLERS])
def test_every_operation_answers_as_documented(
    document: schemathesis.BaseSchema,
    server: str,
    caller: str,
    mode: schemathesis.GenerationMode,
) -> None:
    headers = _headers_of(server, caller)
    complaints: list[str] = []
    for result in document.get_all_operations():
        operation = result.ok()
        if mode.is_negative and not _can_be_wrong(operation):
            continue

        try:
            answers = _answers_of(operation, mode, headers, FIRST_EXAMPLES)
            if not answers <= NOT_ALLOWED | NOT_EVEN_ROUTED or not answers & NOT_ALLOWED:
                _answers_of(operation, mode, headers, EXAMPLES - FIRST_EXAMPLES)
        except (AssertionError, BaseExceptionGroup) as complaint:
            complaints.append(f"{operation.label}: {complaint}")
        if operation.definition.raw["operationId"] in ENDS_SESSIONS:
            headers = _headers_of(server, caller)
    assert not complaints, "\n\n".join(complaints)


def _answers_of(
    operation: schemathesis.APIOperation,
    mode: schemathesis.GenerationMode,
    headers: dict[str, str],
    examples: int,
) -> set[int]:
    """The statuses of answers to some requests; each must be as the document says."""
    statuses: set[int] = set()

    @hypothesis.settings(
        max_examples=examples,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def answers_as_documented(case: schemathesis.Case) -> None:
        _wait_for_nothing(case)
        response = case.call(headers=headers)
        statuses.add(response.status_code)
        # A parameter that fills a request line is refused as such, whatever it would mean.
        if response.status_code != 414:
            excluded = NOT_WRONG if response.status_code == 413 else CANNOT_KNOW
            if mode.is_negative and not is_wrong_as_sent(case, response.request, headers):
                excluded = NOT_WRONG
            case.validate_response(response, excluded_checks=excluded)

    answers_as_documented()
    return statuses


def _wait_for_nothing(case: schemathesis.Case) -> None:
    """Ask for the next events at once: waiting for them is as documented, and takes its time."""
    query = case.query or {}
    if isinstance(wait_s := query.get("wait_seconds"), int) and wait_s > 0:
        query["wait_seconds"] = wait_s if wait_s > WAIT_LIMIT_S else 0


def _can_be_wrong(operation: schemathesis.APIOperation) -> bool:
    """Whether there is something of which the schema says that it is wrong: any text is a text."""
    parameters = operation.definition.raw.get("parameters", ())
    content = operation.definition.raw.get("requestBody", {}).get("content", {})
    return any("schema" in one for one in content.values()) or any(
        one["schema"] != ANY_TEXT for one in parameters
    )


def _await_ready(address: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while requests.get(f"{address}/readyz", timeout=5).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)


async def _execute(address: str, statement: str) -> None:
    connection = await asyncpg.connect(address)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
