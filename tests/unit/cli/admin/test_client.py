"""The client of the control endpoint against servers that are busy, broken or something else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from cinema.cli.admin.client import ATTEMPTS, ControlClient
from cinema.cli.admin.failures import Failure
from cinema.domain.control_signatures import (
    PROOF_HEADER,
    Called,
    answer_mac,
    digest,
    parsed,
    request_mac,
)

BUSY = (503, {"success": False, "error": {"code": "RETRY", "message": "m", "details": {}}})
DONE = (200, {"success": True, "data": {"recorded": True}})


class Script:
    """What a server answers, in order, and what it was asked."""

    def __init__(self, answers: list[tuple[int, Any]]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.token: str | None = "token"


@contextmanager
def served(*answers: tuple[int, Any]) -> Iterator[tuple[ControlClient, Script]]:
    """A client of a server that answers so."""
    script = Script(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            script.asked.append((self.command, self.path, dict(self.headers), body))
            status, answer = script.answers.pop(0)
            raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", str(len(raw)))
            signed = parsed(self.headers["Authorization"])
            assert signed is not None
            if script.token is not None:
                proof = answer_mac(script.token, signed.nonce, status, raw)
                self.send_header(PROOF_HEADER, proof)
            self.end_headers()
            self.wfile.write(raw)

        do_POST = do_GET  # noqa: N815  (the standard library looks for this name)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        yield ControlClient(url, "token", operator="ada@desk"), script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def failure_of(client: ControlClient) -> Failure:
    with pytest.raises(Failure) as failed:
        client.get("/nodes")
    return failed.value


def test_a_busy_server_is_asked_again_with_the_same_key() -> None:
    with served(BUSY, BUSY, DONE) as (client, script):
        assert client.post("/showtimes/1/block", {"seats": ["A1"]}, key="k").data["recorded"]
    assert len(script.asked) == 3
    for method, path, headers, body in script.asked:
        assert (method, path) == ("POST", "/control/v1/showtimes/1/block")
        assert headers["Idempotency-Key"] == "k"
        signed = parsed(headers["Authorization"])
        assert signed is not None
        called = Called(method, path, "k", "ada@desk")
        assert signed.mac == request_mac("token", called, signed)
        assert signed.body_digest == digest(body)
        assert headers["Cinema-Operator"] == "ada@desk"
        assert json.loads(body) == {"seats": ["A1"]}


def test_a_server_that_stays_busy_is_left_alone() -> None:
    with served(*[BUSY] * (ATTEMPTS + 1)) as (client, script):
        failure = failure_of(client)
    assert (failure.code, failure.exit_code, len(script.asked)) == ("RETRY", 1, ATTEMPTS)


@pytest.mark.parametrize(
    "answer", [b"<html>", b"", b"[]", b"{}", b'{"success": true}', b'{"success": false}', b"\xff"]
)
def test_what_is_no_control_endpoint_is_told(answer: bytes) -> None:
    with served((200, answer)) as (client, _):
        failure = failure_of(client)
    assert (failure.code, failure.exit_code) == ("UNREACHABLE", 5)
    assert "Something else" in failure.message


def test_lists_are_read_page_by_page_up_to_a_limit() -> None:
    def page(items: list[int], cursor: str | None) -> tuple[int, Any]:
        return 200, {"success": True, "data": items, "meta": {"next_cursor": cursor}}

    with served(page([1, 2], "a"), page([3, 4], "b")) as (client, script):
        reply = client.pages("/actors", 3, 2, sort="id", phase=None, watched=True)
    assert reply.data == [1, 2, 3]
    assert reply.meta == {"next_cursor": "b"}
    assert [path for _, path, _, _ in script.asked] == [
        "/control/v1/actors?limit=2&sort=id&watched=true",
        "/control/v1/actors?limit=2&cursor=a&sort=id&watched=true",
    ]


def test_an_address_that_is_none_is_told() -> None:
    for url in ("127.0.0.1:8081", "ftp://here", "http://"):
        with pytest.raises(Failure) as failed:
            ControlClient(url, "token", operator="ada")
        assert failed.value.exit_code == 5


@pytest.mark.parametrize("token", [None, "another"])
@pytest.mark.parametrize("answer", [DONE, BUSY, (200, b"hello")])
def test_whoever_has_not_the_token_is_neither_believed_nor_told_it(
    token: str | None, answer: tuple[int, Any]
) -> None:
    with served(answer) as (client, script):
        script.token = token
        failure = failure_of(client)
    assert (failure.code, failure.exit_code) == ("UNREACHABLE", 5)
    assert len(script.asked) == 1
    assert "token" not in str(script.asked).replace("Something", "")


def test_a_server_that_knows_another_token_is_told_from_a_stranger() -> None:
    error = {"code": "UNAUTHENTICATED", "message": "m", "details": {}}
    with served((401, {"success": False, "error": error})) as (client, script):
        script.token = None
        failure = failure_of(client)
    assert failure.exit_code == 4


def test_clocks_that_differ_are_told() -> None:
    error = {"code": "UNAUTHENTICATED", "message": "m", "details": {"reason": "TOKEN_EXPIRED"}}
    with served((401, {"success": False, "error": error})) as (client, _):
        assert "clocks" in failure_of(client).message
