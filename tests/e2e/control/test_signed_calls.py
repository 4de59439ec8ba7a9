"""Calls that are signed instead of bearing a token, and tokens that change while a node runs."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

import aiohttp
import msgspec
import pytest
import structlog

from cinema.domain.control_signatures import (
    NONCE_BYTES,
    PROOF_HEADER,
    SCHEME,
    Called,
    answer_mac,
    credentials_for,
)
from cinema.domain.principal import InvalidToken
from cinema.features.operations.token import SIGNATURE_LIFE_S, OperatorTokens
from cinema.settings import Secret
from cinema.telemetry.logging import set_log_level
from tests.e2e.api.house import UNKNOWN_ID, House, open_site
from tests.e2e.control.desk import TOKEN, Desk
from tests.support import inspection

pytestmark = pytest.mark.asyncio(loop_scope="module")

NODES = "/control/v1/nodes"
NEW, OLD = "ada-has-this-new-token-8d1f07c2b6", "ada-had-this-old-token-5b9e33a1f0"
OTHER = "bob-has-this-one-token-c4416e7d20"


async def call(
    desk: Desk,
    method: str,
    target: str,
    body: bytes = b"",
    *,
    token: str = TOKEN,
    now_s: float | None = None,
    credentials: str | None = None,
    sent: bytes | None = None,
    **headers: str,
) -> tuple[int, bytes, str, str]:
    """Status, body and proof of a signed call, and its nonce; `sent` goes in the body's place."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    called = Called(
        method, target, named.get("Idempotency-Key", ""), named.get("Cinema-Operator", "")
    )
    nonce = secrets.token_hex(NONCE_BYTES)
    at_s = time.time() if now_s is None else now_s
    made = credentials_for(token, called, body, at_s, nonce)
    named["Authorization"] = credentials or made
    url = f"http://127.0.0.1:{desk.port}{target}"
    data = body if sent is None else sent
    if data:
        named["Content-Type"] = "application/json"
    async with desk.client.request(method, url, data=data or None, headers=named) as reply:
        return reply.status, await reply.read(), reply.headers.get(PROOF_HEADER, ""), nonce


async def test_a_signed_call_is_answered_with_a_proof(desk: Desk) -> None:
    for target, wanted in ((NODES, 200), ("/control/v1/nowhere", 404)):
        status, body, proof, nonce = await call(desk, "GET", target)
        assert status == wanted
        assert proof == answer_mac(TOKEN, nonce, status, body)
    plain = await desk.ask("GET", "nodes")
    assert PROOF_HEADER not in plain.headers


async def test_a_call_signed_with_another_token_is_refused_without_a_proof(desk: Desk) -> None:
    status, _, proof, _ = await call(desk, "GET", NODES, token=OTHER)
    assert (status, proof) == (401, "")


@pytest.mark.parametrize("off_s", [-SIGNATURE_LIFE_S - 2, SIGNATURE_LIFE_S + 2])
async def test_a_signature_from_another_time_is_refused_and_the_reason_proven(
    desk: Desk, off_s: float
) -> None:
    status, body, proof, nonce = await call(desk, "GET", NODES, now_s=time.time() + off_s)
    assert status == 401
    assert msgspec.json.decode(body)["error"]["details"] == {"reason": "TOKEN_EXPIRED"}
    assert proof == answer_mac(TOKEN, nonce, status, body)


async def test_a_signature_counts_once_and_for_its_call_alone(desk: Desk) -> None:
    called = Called("GET", NODES, "", "")
    credentials = credentials_for(TOKEN, called, b"", time.time(), secrets.token_hex(NONCE_BYTES))
    assert (await call(desk, "GET", "/control/v1/ring", credentials=credentials))[0] == 401
    assert (await call(desk, "GET", NODES + "?x", credentials=credentials))[0] == 401
    assert (await call(desk, "GET", NODES, credentials=credentials, Cinema_Operator="mallory"))[
        0
    ] == 401
    assert (await call(desk, "GET", NODES, credentials=credentials))[0] == 200
    assert (await call(desk, "GET", NODES, credentials=credentials))[0] == 401


async def test_a_body_that_was_not_signed_does_nothing(desk: Desk) -> None:
    target = f"/control/v1/nodes/{desk.node_id}/log-level"
    before = (await desk.get(f"nodes/{desk.node_id}/log-level"))["level"]
    good, bad = b'{"level":"error"}', b'{"level":"debug"}'
    assert (await call(desk, "PUT", target, good, sent=bad))[0] == 401
    assert (await desk.get(f"nodes/{desk.node_id}/log-level"))["level"] == before
    try:
        assert (await call(desk, "PUT", target, good))[0] == 200
        assert (await desk.get(f"nodes/{desk.node_id}/log-level"))["level"] == "error"
    finally:
        set_log_level("info")


@pytest.mark.parametrize("credentials", [SCHEME, f"{SCHEME} ", f"{SCHEME} 1.2.3.4", "Basic x", "x"])
async def test_credentials_of_no_form_are_refused(desk: Desk, credentials: str) -> None:
    assert (await call(desk, "GET", NODES, credentials=credentials))[0] == 401


async def test_tokens_rotate_without_a_restart_and_name_their_holders(
    database: str, tmp_path: Path
) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"ada:{OLD}\n")
    secret = Secret(f"ada:{OLD}", file)
    async with open_site(database, control_token=secret) as site:
        port = await site.node.control.start()
        house = House(site)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}/control/v1/") as client:
            desk = Desk(site, house, client, port)

            async def status(token: str) -> int:
                return (await desk.ask("GET", "nodes", token=token)).status

            assert [await status(one) for one in (OLD, NEW, OTHER)] == [200, 401, 401]
            file.write_text(f"ada:{NEW}\nada:{OLD}\nbob:{OTHER}\n")
            assert [await status(one) for one in (OLD, NEW, OTHER)] == [200, 200, 200]
            with structlog.testing.capture_logs() as events:
                path = f"showtimes/{UNKNOWN_ID}/passivate"
                for token in (OLD, NEW, OTHER):
                    await desk.ask("POST", path, token=token)
                await call(desk, "POST", f"/control/v1/{path}", token=OTHER)
            acted = [one for one in events if one["event"] == "operator_acted"]
            assert [one["holder"] for one in acted] == ["ada", "ada", "bob", "bob"]
            file.write_text(f"ada:{NEW}\n")
            assert [await status(one) for one in (OLD, NEW, OTHER)] == [401, 200, 401]


async def test_a_file_that_is_no_good_leaves_the_tokens_as_they_were(tmp_path: Path) -> None:
    texts = [f"ada:{OLD}"]

    def read() -> str:
        if texts[0] == "gone":
            raise FileNotFoundError("gone")
        return texts[0]

    tokens = OperatorTokens(f"ada:{OLD}", read)
    with structlog.testing.capture_logs() as events:
        for text in ("", "gone", "gone", "ada:short", "ada:short", f"ada:{OLD}", "ada:short"):
            texts[0] = text
            assert tokens.name_of(tokens.verify(OLD)) == "ada"
    assert [one["event"] for one in events] == ["control_tokens_refused"] * 4
    assert OLD not in str(events)


async def test_nonces_are_forgotten_in_time_and_never_too_many() -> None:
    now = [1000.0]
    tokens = OperatorTokens(TOKEN, clock=lambda: now[0], nonces_limit=2)
    for nonce in ("a", "b"):
        inspection.take_nonce(tokens, nonce, now[0])
    with pytest.raises(Exception, match="OVERLOADED"):
        inspection.take_nonce(tokens, "c", now[0])
    with pytest.raises(InvalidToken):
        inspection.take_nonce(tokens, "a", now[0])
    inspection.take_nonce(tokens, "c", now[0] + 2 * SIGNATURE_LIFE_S + 1)
