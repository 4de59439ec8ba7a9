"""Whatever a client sends: a clear answer in the contract's form, and nothing done."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.e2e.http.edge import BODY_LIMIT_BYTES, Server, request

GOOD = b'{"seats":["F7"]}'
ID = "019a0c1e-7000-7000-8000-0000000000e1"


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (request("POST", "/echo", b"{"), 400, "MALFORMED_JSON"),
        (request("POST", "/echo", b""), 400, "MALFORMED_JSON"),
        (request("POST", "/echo", b"\xff\xfe"), 400, "MALFORMED_JSON"),
        (request("POST", "/echo", b'{"seats":7}'), 400, "VALIDATION_ERROR"),
        (request("POST", "/echo", b'{"seats":["A1"],"x":1}'), 400, "VALIDATION_ERROR"),
        (request("POST", "/echo", b'{"seats":["\\u0000"]}'), 400, "VALIDATION_ERROR"),
        (request("POST", "/echo", GOOD, content_type="text/plain"), 415, "UNSUPPORTED_MEDIA_TYPE"),
        (request("POST", "/echo", GOOD, content_type=""), 415, "UNSUPPORTED_MEDIA_TYPE"),
        (request("POST", "/echo"), 415, "UNSUPPORTED_MEDIA_TYPE"),
        (request("POST", "/echo", GOOD, content_encoding="gzip"), 415, "UNSUPPORTED_MEDIA_TYPE"),
        (
            request("POST", "/echo", GOOD, content_type="application/json; charset=utf-16"),
            415,
            "UNSUPPORTED_MEDIA_TYPE",
        ),
        (request("POST", "/echo", b" " * (BODY_LIMIT_BYTES + 1)), 413, "PAYLOAD_TOO_LARGE"),
        (request("POST", "/echo", GOOD, idempotency_key="ü"), 400, "VALIDATION_ERROR"),
        (request("POST", "/echo", GOOD, idempotency_key="x" * 129), 400, "VALIDATION_ERROR"),
        (request("PUT", "/things/7", GOOD), 404, "NOT_FOUND"),
        (request("PUT", f"/things/{ID}0", GOOD), 404, "NOT_FOUND"),
        (request("GET", "/nowhere"), 404, "NOT_FOUND"),
        (request("GET", "/%ff/%00"), 404, "NOT_FOUND"),
        (request("GET", "http://elsewhere/nowhere"), 404, "NOT_FOUND"),
        (request("DELETE", "/echo"), 405, "METHOD_NOT_ALLOWED"),
        (request("GET", "/me"), 401, "UNAUTHENTICATED"),
        (request("GET", "/me", authorization="Basic dTpw"), 401, "UNAUTHENTICATED"),
        (request("GET", "/me", authorization="Bearer nonsense"), 401, "UNAUTHENTICATED"),
        (request("GET", "/me", authorization="Bearer \xff\xfe"), 401, "UNAUTHENTICATED"),
        (request("POST", "/staff", b"{"), 401, "UNAUTHENTICATED"),
        (b"GARBAGE\r\n\r\n", 400, "BAD_REQUEST"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64), 400, "BAD_REQUEST"),
        (b"GET /me HTTP/1.1\r\n\r\n", 400, "BAD_REQUEST"),
        (b"GET /me HTTP/1.1\r\nHost: a\r\nbroken header\r\n\r\n", 400, "BAD_REQUEST"),
        (b"GET /me HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "BAD_REQUEST"),
        (b"GET /me HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "BAD_REQUEST"),
        (b"GET /me HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400, "BAD_REQUEST"),
        *(
            (b"%b HTTP/1.1\r\nHost: %b\r\n\r\n" % (line, host), 400, "BAD_REQUEST")
            for line in (b"GET /me", b"GET /nowhere", b"GET http://a/me", b"OPTIONS *")
            for host in (
                b"",
                b"a b",
                b"a/b",
                b"u@a",
                b"a:b",
                b"a:1:2",
                b"[::1",
                b"[::1::]",
                b"[1.2.3.4]",
                b"a?b",
                b"a%2",
                b"a,b c",
                b":80",
                b"http://a",
                b"\xc3\xbc",
                b"a\\b",
            )
        ),
        (b"GET /me HTTP/9.9\r\nHost: a\r\n\r\n", 400, "BAD_REQUEST"),
        (b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400, "BAD_REQUEST"),
        (
            (
                b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
            400,
            "BAD_REQUEST",
        ),
        (request("GET", "/" + "x" * 9000), 414, "URI_TOO_LONG"),
        (request("GET", "/me", x_long="x" * 9000), 431, "HEADERS_TOO_LARGE"),
        (
            request("GET", "/me", **{f"x_{n}": "1" for n in range(100)}),
            431,
            "HEADERS_TOO_LARGE",
        ),
    ],
)
async def test_bad_request_gets_a_clear_answer(
    server: Server, raw: bytes, status: int, code: str
) -> None:
    answer = await server.ask(raw)
    assert (answer.status, answer.code) == (status, code)
    assert server.handled == []
    assert server.lines()[-1]["error_code"] == code


@pytest.mark.parametrize(
    "host",
    ["a", "A.example", "a:8080", "a:", "127.0.0.1:1", "[::1]", "[::ffff:192.0.2.1]:80", "[v1.a:b]",
     "cinema_1", "a-b~c.x", "%C3%BC.example", "xn--kino-jna.example:443"],
)  # fmt: skip
async def test_any_well_formed_host_is_answered(server: Server, host: str) -> None:
    answer = await server.ask(f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert answer.status == 200


async def test_old_clients_need_no_host(server: Server) -> None:
    assert (await server.ask(b"GET /healthz HTTP/1.0\r\n\r\n")).status == 200


async def test_connection_goes_on_after_a_refusal(server: Server) -> None:
    async with server.client() as client:
        assert (await client.ask(request("POST", "/echo", b"{"))).status == 400
        assert (await client.ask(request("GET", "/nowhere"))).status == 404
        assert (await client.ask(request("GET", "/me"))).status == 401
        assert (await client.ask(request("POST", "/echo", GOOD))).status == 201


async def test_refused_media_type_leaves_the_next_request_readable(server: Server) -> None:
    async with server.client() as client:
        client.send(request("POST", "/echo", GOOD * 60, content_type="text/plain"))
        client.send(request("POST", "/echo", GOOD))
        assert (await client.answer()).status == 415
        assert (await client.answer()).status == 201


async def test_body_larger_than_declared_space_is_refused_before_it_is_sent(
    server: Server,
) -> None:
    async with server.client() as client:
        client.send(request("POST", "/echo", b"", content_length="5000000000"))
        assert (await client.answer()).code == "PAYLOAD_TOO_LARGE"


async def test_client_still_sending_a_large_body_reads_why(server: Server) -> None:
    async with server.client() as client:
        client.send(request("POST", "/echo", b" " * 5_000_000))
        assert (await client.answer()).code == "PAYLOAD_TOO_LARGE"


async def test_chunked_body_is_read(server: Server) -> None:
    async with server.client() as client:
        client.send(
            b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n8\r\n" + GOOD[:8] + b"\r\n"
        )
        await asyncio.sleep(0)
        answer = await client.ask(b"8\r\n" + GOOD[8:] + b"\r\n0\r\n\r\n")
        assert answer.json["data"] == {"seats": ["F7"]}
        assert (await client.ask(request("GET", "/healthz"))).status == 200


async def test_chunked_body_over_the_limit_is_refused(server: Server) -> None:
    async with server.client() as client:
        client.send(
            b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(BODY_LIMIT_BYTES // 1024 + 1):
            client.send(b"400\r\n" + b" " * 1024 + b"\r\n")
        assert (await client.answer()).code == "PAYLOAD_TOO_LARGE"


async def test_broken_chunk_is_refused(server: Server) -> None:
    async with server.client() as client:
        client.send(
            b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        await asyncio.sleep(0)
        answer = await client.ask(b"zz\r\nnonsense\r\n")
        assert (answer.status, answer.code) == (400, "BAD_REQUEST")
    assert server.handled == []


async def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    async with server.client() as client:
        bodies = [b'{"seats":["A%d"]}' % n for n in range(200)]
        client.send(b"".join(request("POST", "/echo", body) for body in bodies))
        for number in range(200):
            assert (await client.answer()).json["data"]["seats"] == [f"A{number}"]


async def test_garbage_behind_a_request_is_answered_and_ends_the_connection(
    server: Server,
) -> None:
    async with server.client() as client:
        assert (await client.ask(request("POST", "/echo", GOOD))).status == 201
        answer = await client.ask(b"\x00\x01garbage\r\n\r\n" * 100)
        assert answer.code == "BAD_REQUEST"
        assert answer.headers["connection"] == "close"
        assert await client.ends()


async def test_request_glued_to_garbage_is_refused_with_it(server: Server) -> None:
    async with server.client() as client:
        client.send(request("POST", "/echo", GOOD) + b"\x00\x01garbage\r\n\r\n")
        assert (await client.answer()).code == "BAD_REQUEST"
        assert await client.ends()
    assert server.handled == []


@pytest.mark.parametrize(
    "part", [b"G", b"GET /me HTTP/1.1\r\n", b"POST /echo HTTP/1.1\r\nHost: a\r\nX"]
)
async def test_half_sent_head_times_out_with_an_answer(server: Server, part: bytes) -> None:
    async with server.client() as client:
        answer = await client.ask(part)
        assert (answer.status, answer.code) == (408, "REQUEST_TIMEOUT")
        assert answer.headers["connection"] == "close"
        assert await client.ends()


async def test_half_sent_head_on_a_used_connection_times_out_too(server: Server) -> None:
    async with server.client() as client:
        assert (await client.ask(request("GET", "/healthz"))).status == 200
        assert (await client.ask(b"GET /healthz HT")).code == "REQUEST_TIMEOUT"


async def test_half_sent_body_times_out_with_an_answer(server: Server) -> None:
    async with server.client() as client:
        answer = await client.ask(request("POST", "/echo", GOOD)[:-5])
        assert (answer.status, answer.code) == (408, "REQUEST_TIMEOUT")
    assert server.handled == []


@pytest.mark.parametrize("cut", [5, 40, -5])
async def test_request_cut_off_by_the_client_is_answered(server: Server, cut: int) -> None:
    async with server.client() as client:
        client.send(request("POST", "/echo", GOOD)[:cut])
        client.writer.write_eof()
        assert (await client.answer()).code == "BAD_REQUEST"
        assert await client.ends()
    assert server.handled == []


async def test_client_that_half_closes_after_asking_is_answered(server: Server) -> None:
    async with server.client() as client:
        client.send(request("POST", "/echo", GOOD) + request("GET", "/slow"))
        client.writer.write_eof()
        assert (await client.answer()).status == 201
        server.release.set()
        assert (await client.answer()).json["data"] == "slow"
        assert await client.ends()


async def test_client_that_vanishes_disturbs_nobody(server: Server) -> None:
    async with server.client() as client:
        client.send(request("GET", "/slow") + request("POST", "/echo", GOOD)[:-3])
        await client.writer.drain()
        raw = client.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        client.writer.transport.abort()
    server.release.set()
    assert (await server.ask(request("GET", "/healthz"))).status == 200


async def test_client_that_reads_slowly_gets_all_of_it(server: Server) -> None:
    async with server.client() as client:
        for _ in range(3):
            client.send(request("GET", "/large"))
        for _ in range(3):
            assert len((await client.answer()).json["data"]) == 3_000_000


async def test_unexpected_error_tells_the_id_and_nothing_else(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = await server.ask(request("GET", "/broken", x_request_id="find-me"))
    assert (answer.status, answer.code) == (500, "INTERNAL")
    assert answer.json["error"]["details"] == {}
    assert b"secret" not in answer.body
    written = capsys.readouterr().out
    assert "find-me" in written
    assert "the secret of the house" in written
