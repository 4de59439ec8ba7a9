"""What every reply has: ids, headers, methods, origins, and one log line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date

import msgspec
import pytest

from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success
from cinema.http.routes import Deprecation
from cinema.http.server import EdgeOptions
from tests.e2e.http.edge import (
    BODY_LIMIT_BYTES,
    PATIENCE_S,
    USER,
    Server,
    request,
    route,
    serving,
    until,
)

GOOD = b'{"seats":["F7"]}'
ID = "019A0C1E-7000-7000-8000-0000000000E1"
ORIGIN = "https://tickets.example"


async def test_request_id_comes_back_harmless(server: Server) -> None:
    for given, back in (
        ("abc-1.2_X", "abc-1.2_X"),
        ("a b\tc<script>", "abcscript"),
        ("x" * 200, "x" * 64),
    ):
        answer = await server.ask(request("GET", "/nowhere", x_request_id=given))
        assert answer.headers["x-request-id"] == back
    own = (await server.ask(request("GET", "/nowhere", x_request_id="<>"))).headers["x-request-id"]
    assert len(own) == 24


async def test_every_request_leaves_one_line(server: Server) -> None:
    token = server.token()
    async with server.client() as client:
        await client.ask(request("GET", f"/showtimes/{ID}/seats", authorization=f"Bearer {token}"))
        await client.ask(request("GET", "/me", authorization=f"Bearer {token}"))
        await client.ask(request("GET", "/nowhere?password=secret"))
        await client.ask(request("HEAD", "/healthz"), to_head=True)
    seats, me, nowhere, head = server.lines()
    assert (seats["route"], seats["status"]) == ("/showtimes/{showtime_id}/seats", 409)
    assert (seats["error_code"], seats["showtime_id"]) == ("SEAT_UNAVAILABLE", ID.lower())
    assert me["principal_id"].replace("-", "") == USER.hex()
    assert (nowhere["route"], nowhere["error_code"]) == ("(none)", "NOT_FOUND")
    assert (head["method"], head["route"]) == ("HEAD", "/healthz")
    everything = str(server.lines())
    assert token not in everything
    assert "secret" not in everything


async def test_requests_are_counted(server: Server) -> None:
    await server.ask(request("POST", "/echo", GOOD))
    await server.ask(request("GET", "/nowhere"))
    text = (await server.ask(request("GET", "/metrics"))).body.decode()
    assert 'cinema_http_requests_total{method="POST",route="/echo",status="201"} 1.0' in text
    assert 'cinema_http_requests_total{method="GET",route="(none)",status="404"} 1.0' in text


async def test_head_has_the_head_of_get(server: Server) -> None:
    async with server.client() as client:
        head = await client.ask(request("HEAD", "/healthz"), to_head=True)
        get = await client.ask(request("GET", "/healthz"))
    assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.body))


async def test_options_names_the_methods(server: Server) -> None:
    answer = await server.ask(request("OPTIONS", "/echo"))
    assert (answer.status, answer.headers["allow"]) == (204, "OPTIONS, POST")
    assert "content-length" not in answer.headers
    assert (await server.ask(request("OPTIONS", "*"))).status == 204
    assert (await server.ask(request("OPTIONS", "/nowhere"))).code == "NOT_FOUND"


async def test_method_not_allowed_names_the_right_ones(server: Server) -> None:
    answer = await server.ask(request("DELETE", "/staff"))
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"


async def test_page_of_an_allowed_origin_may_read_the_reply(server: Server) -> None:
    answer = await server.ask(request("POST", "/echo", GOOD, origin=ORIGIN))
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-expose-headers"] == "ETag, Retry-After, X-Request-ID"
    assert answer.headers["vary"] == "Origin"
    refused = await server.ask(request("GET", "/nowhere", origin=ORIGIN))
    assert refused.headers["access-control-allow-origin"] == ORIGIN


async def test_page_of_another_origin_may_not(server: Server) -> None:
    answer = await server.ask(request("POST", "/echo", GOOD, origin="https://evil.example"))
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["vary"] == "Origin"


async def test_preflight_is_answered(server: Server) -> None:
    ask = {"access_control_request_method": "POST"}
    answer = await server.ask(request("OPTIONS", "/echo", origin=ORIGIN, **ask))
    assert answer.headers["access-control-allow-methods"] == "OPTIONS, POST"
    assert "Idempotency-Key" in answer.headers["access-control-allow-headers"]
    other = await server.ask(request("OPTIONS", "/echo", origin="https://evil.example", **ask))
    assert "access-control-allow-methods" not in other.headers


async def test_any_origin_is_without_credentials() -> None:
    async with serving(EdgeOptions(allowed_origins=("*",))) as server:
        answer = await server.ask(request("POST", "/echo", GOOD, origin="https://any.example"))
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
        assert answer.headers["vary"] == "Origin"
        # A cache must not give this answer to a page, which could not read it.
        without = await server.ask(request("POST", "/echo", GOOD))
        assert "access-control-allow-origin" not in without.headers
        assert without.headers["vary"] == "Origin"


async def test_security_headers_are_on_every_reply(server: Server) -> None:
    for path in ("/healthz", "/nowhere", "/me"):
        headers = (await server.ask(request("GET", path))).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert "date" in headers


@pytest.mark.parametrize(
    ("version", "asked", "told", "stays"),
    [
        ("1.1", None, None, True),
        ("1.1", "close", "close", False),
        ("1.0", None, "close", False),
        ("1.0", "keep-alive", "keep-alive", True),
    ],
)
async def test_connection_stays_as_the_client_wants(
    server: Server, version: str, asked: str | None, told: str | None, stays: bool
) -> None:
    headers = {} if asked is None else {"connection": asked}
    async with server.client() as client:
        answer = await client.ask(request("GET", "/healthz", version=version, **headers))
        assert answer.headers.get("connection") == told
        if stays:
            assert (await client.ask(request("GET", "/healthz"))).status == 200
        else:
            assert await client.ends()


async def test_body_may_wait_for_the_servers_consent(server: Server) -> None:
    raw = request("POST", "/echo", GOOD, expect="100-continue")
    async with server.client() as client:
        client.send(raw[: -len(GOOD)])
        assert (await client.answer()).status == 100
        assert (await client.ask(GOOD)).status == 201


@pytest.mark.parametrize("taskless", [False, True])
async def test_long_body_is_read_when_its_turn_comes(taskless: bool) -> None:
    seats = ["x" * 1000] * 900
    body = msgspec.json.encode({"seats": seats})
    options = EdgeOptions(body_limit_bytes=1_000_000)
    async with serving(options, taskless=taskless) as server, server.client() as client:
        client.send(request("GET", "/slow") + request("POST", "/echo", body))
        await until(lambda: any(one._reading_paused for one in server.edge._server.connections))
        server.release.set()
        assert (await client.answer()).json["data"] == "slow"
        assert (await client.answer()).json["data"] == {"seats": seats}
        assert (await client.ask(request("POST", "/echo", body))).status == 201


async def test_role_is_checked_after_the_token(server: Server) -> None:
    staff, customer = (f"bearer {server.token(role)}" for role in ("staff", "customer"))
    assert (await server.ask(request("GET", "/staff", authorization=staff))).status == 200
    answer = await server.ask(request("GET", "/staff", authorization=customer))
    assert (answer.status, answer.code) == (403, "FORBIDDEN")


@pytest.fixture
async def patient() -> AsyncIterator[Server]:
    """A server that waits for bodies longer than any test takes."""
    options = EdgeOptions(body_limit_bytes=BODY_LIMIT_BYTES, request_timeout_s=60.0)
    async with serving(options, taskless=True) as running:
        yield running


async def test_token_that_ends_while_the_body_is_on_its_way_does_nothing(patient: Server) -> None:
    """Else whoever keeps requests open could act long after a revocation."""
    token, gatekeeper = patient.token(), patient.gatekeeper
    whole = request("POST", "/staff", GOOD, authorization=f"Bearer {token}")
    async with patient.client() as client:
        client.send(whole[:-4])
        await until(lambda: gatekeeper.looks == 1)
        gatekeeper.revoked.add(token)
        client.send(whole[-4:])
        answer = await client.answer()
    assert (answer.status, answer.code) == (401, "UNAUTHENTICATED")
    assert not patient.handled


async def test_body_that_comes_late_is_taken_from_whoever_may_still_act(patient: Server) -> None:
    whole = request("POST", "/staff", GOOD, authorization=f"Bearer {patient.token()}")
    async with patient.client() as client:
        client.send(whole[:-4])
        await until(lambda: patient.gatekeeper.looks == 1)
        client.send(whole[-4:])
        assert (await client.answer()).status == 200
    assert patient.gatekeeper.looks == 2


@pytest.mark.parametrize("taskless", [False, True])
async def test_lenient_route_takes_a_token_that_is_not_valid_for_none(taskless: bool) -> None:
    async with serving(EdgeOptions(), taskless=taskless) as server:
        token = server.token()
        for sent, who in ((f"Bearer {token}", "customer"), ("Bearer x", "nobody"), ("x", "nobody")):
            answer = await server.ask(request("POST", "/leave", GOOD, authorization=sent))
            assert answer.json["data"] == who
        server.gatekeeper.revoked.add(token)
        told = request("POST", "/leave", GOOD, authorization=f"Bearer {token}")
        assert (await server.ask(told)).json["data"] == "nobody"


async def test_lenient_route_refuses_all_the_same_what_the_token_is_not_the_reason_for() -> None:
    options = EdgeOptions(require_https=True, trusted_proxies=("127.0.0.0/8",))
    async with serving(options) as server:
        plain = await server.ask(request("POST", "/leave", GOOD, authorization="Bearer x"))
        assert (plain.status, plain.code) == (403, "HTTPS_REQUIRED")


async def test_lenient_route_forgets_a_caller_whose_token_ends_while_the_body_is_on_its_way(
    patient: Server,
) -> None:
    token, gatekeeper = patient.token(), patient.gatekeeper
    whole = request("POST", "/leave", GOOD, authorization=f"Bearer {token}")
    async with patient.client() as client:
        client.send(whole[:-4])
        await until(lambda: gatekeeper.looks == 1)
        gatekeeper.revoked.add(token)
        client.send(whole[-4:])
        assert (await client.answer()).json["data"] == "nobody"


async def test_plain_http_is_refused_where_https_is_required() -> None:
    options = EdgeOptions(require_https=True, trusted_proxies=("127.0.0.0/8",))
    async with serving(options) as server:
        plain = await server.ask(request("POST", "/echo", GOOD))
        assert (plain.status, plain.code) == (403, "HTTPS_REQUIRED")
        told = await server.ask(request("POST", "/echo", GOOD, x_forwarded_proto="https"))
        assert told.status == 201
        assert told.headers["strict-transport-security"].startswith("max-age=31536000")
        assert (await server.ask(request("GET", "/healthz"))).status == 200


async def test_stranger_cannot_claim_https() -> None:
    options = EdgeOptions(require_https=True, trusted_proxies=("10.0.0.0/8",))
    async with serving(options) as server:
        answer = await server.ask(request("POST", "/echo", GOOD, x_forwarded_proto="https"))
        assert answer.code == "HTTPS_REQUIRED"


async def test_stop_lets_requests_finish_and_closes(server: Server) -> None:
    async with server.client() as busy, server.client() as idle:
        assert (await idle.ask(request("GET", "/healthz"))).status == 200
        busy.send(request("POST", "/echo", GOOD) + request("GET", "/slow"))
        assert (await busy.answer()).status == 201
        stopping = asyncio.ensure_future(server.edge.stop(5.0))
        assert await idle.ends()
        server.release.set()
        last = await busy.answer()
        assert (last.status, last.headers["connection"]) == (200, "close")
        await stopping
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", server.port)


async def test_stop_without_a_grace_does_not_wait_for_a_handler(server: Server) -> None:
    async with server.client() as busy:
        busy.send(request("POST", "/echo", GOOD) + request("GET", "/slow"))
        assert (await busy.answer()).status == 201
        async with asyncio.timeout(PATIENCE_S):
            await server.edge.stop(0.0)
        assert await busy.ends()


@pytest.mark.parametrize("authority", ["http://test", "https://elsewhere:99", "HTTP://[::1]:80"])
async def test_target_may_be_a_whole_address(server: Server, authority: str) -> None:
    """As clients write it to a proxy; servers must take it too (RFC 9112, 3.2.2)."""
    token = f"Bearer {server.token()}"
    asked = await server.ask(request("POST", f"{authority}/echo", GOOD))
    assert (asked.status, asked.json["data"]) == (201, {"seats": ["F7"]})
    me = await server.ask(request("GET", f"{authority}/me?limit=7", authorization=token))
    assert me.json["data"]["query"] == {"limit": 7}
    assert (await server.ask(request("DELETE", f"{authority}/echo"))).status == 405
    assert (await server.ask(request("GET", authority))).code == "NOT_FOUND"
    assert (await server.ask(request("OPTIONS", authority))).status == 204
    lines = server.lines()
    assert [line["route"] for line in lines[:2]] == ["/echo", "/me"]
    assert len(server.handled) == 2


@pytest.mark.parametrize(
    "target", ["ftp://test/echo", "http://user:word@test/echo", "http:///echo"]
)
async def test_target_of_another_kind_is_nowhere(server: Server, target: str) -> None:
    assert (await server.ask(request("POST", target, GOOD))).status in {400, 404}
    assert server.handled == []


SPELLINGS = (
    "/metrics/", "/%6detrics", "/%6Detrics", "/metric%73", "//metrics", "/./metrics",
    "/x/../metrics", "/metrics%2F", "/metrics%3Fx", "/metrics;x", "/METRICS", "/metrics%00",
    "http://test/metrics", "/metrics/?x", "/metrics#x",
)  # fmt: skip


@pytest.mark.parametrize("target", SPELLINGS)
async def test_metrics_are_reached_by_their_literal_path_alone(server: Server, target: str) -> None:
    """Balancers keep `/metrics` inside: nothing else may lead there."""
    for method in ("GET", "HEAD", "POST", "OPTIONS"):
        async with server.client() as client:
            answer = await client.ask(request(method, target), to_head=method == "HEAD")
            assert answer.status == 404, method
            assert b"cinema_http" not in answer.body
    assert (await server.ask(request("GET", "/metrics?x"))).status == 200
    assert (await server.ask(request("POST", "/metrics"))).status == 405


@pytest.mark.parametrize(
    "header", ["x_forwarded_for", "forwarded", "via", "x_real_ip", "cf_connecting_ip"]
)
async def test_metrics_are_not_for_what_a_proxy_forwards(server: Server, header: str) -> None:
    answer = await server.ask(request("GET", "/metrics", **{header: "for=192.0.2.1"}))
    assert answer.code == "NOT_FOUND"
    assert (await server.ask(request("GET", "/healthz", **{header: "192.0.2.1"}))).status == 200


@pytest.mark.parametrize("taskless", [False, True])
async def test_an_operation_that_is_going_to_end_says_so_and_is_counted(taskless: bool) -> None:
    async def old(_context: RequestContext) -> Reply:
        return success("still here")

    ending = Deprecation(since=date(2026, 1, 1), sunset=date(2026, 1, 15), instead="`GET /new`")
    more = [route("GET", "/old", old, deprecation=ending, auth="optional")]
    options = EdgeOptions(body_limit_bytes=BODY_LIMIT_BYTES)
    async with serving(options, taskless=taskless, more=more) as server:
        answer = await server.ask(request("GET", "/old"))
        refused = await server.ask(request("GET", "/old", authorization="Bearer nonsense"))
        usual = await server.ask(request("GET", "/healthz"))
        text = (await server.ask(request("GET", "/metrics"))).body.decode()
    assert (answer.status, refused.status) == (200, 401)
    for one in (answer, refused):
        assert one.headers["deprecation"] == "@1767225600"
        assert one.headers["sunset"] == "Thu, 15 Jan 2026 00:00:00 GMT"
    assert "deprecation" not in usual.headers
    counted = 'cinema_http_deprecated_requests_total{method="GET",route="/old"} 2.0'
    assert counted in text
    assert text.count("cinema_http_deprecated_requests_total{") == 1


def test_clients_get_a_fortnight_of_notice() -> None:
    with pytest.raises(ValueError, match="14 days"):
        Deprecation(since=date(2026, 1, 1), sunset=date(2026, 1, 14), instead="`GET /new`")
