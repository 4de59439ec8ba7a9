"""What one stranger, one account or one address can take of a node, and what it cannot."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections import Counter

import aiohttp
import bcrypt
import msgspec
import pytest

from cinema.domain.limits_catalog import HASHING_THREADS
from tests.e2e.api.house import PATIENCE_S, House, open_house
from tests.support.inspection import connections_of
from tests.support.waiting import look_again


async def test_six_hundred_sockets_of_one_address_are_not_let_in(database: str) -> None:
    async with open_house(database) as house:
        path = f"showtimes/{await house.showtime()}/watch"
        url = f"http://127.0.0.1:{house.port}/api/v1/{path}"
        opened: list[aiohttp.ClientWebSocketResponse] = []
        refused: Counter[tuple[int, str]] = Counter()

        async def connect() -> None:
            try:
                opened.append(await crowd.ws_connect(url))
            except aiohttp.WSServerHandshakeError as error:
                refused[error.status, (error.headers or {}).get("Retry-After", "")] += 1

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as crowd:
            for _ in range(6):
                await asyncio.gather(*(connect() for _ in range(100)))
            assert (len(opened), refused) == (200, {(429, "10"): 400})
            await opened.pop().close()
            await house.until(lambda: house.node.hub.socket_count < 200)
            await connect()
            assert len(opened) == 200
            await asyncio.gather(*(socket.close() for socket in opened))


async def test_one_user_has_a_bounded_number_of_sockets_however_it_signs_in(
    database: str,
) -> None:
    async with open_house(database, watchers_per_user=2) as house:
        path = f"showtimes/{await house.showtime()}/watch"
        signed = {"Authorization": f"Bearer {house.token('ada')}"}
        async with (
            house.client.ws_connect(path, headers=signed),
            house.client.ws_connect(path, headers=signed),
        ):
            answer = await house.ask("ada", "GET", path)
            assert answer.error == (429, "RATE_LIMITED")
            async with house.client.ws_connect(path) as socket:
                await socket.receive_json()
                await socket.send_json({"type": "auth", "ref": 1, "token": house.token("ada")})
                error = (await socket.receive_json())["error"]
                assert (error["code"], error["retry_after_s"]) == ("RATE_LIMITED", 10)
                await socket.send_json({"type": "auth", "ref": 2, "token": house.token("bob")})
                assert (await socket.receive_json())["type"] == "result"


async def test_holds_come_no_faster_than_the_rate_over_http_and_socket_together(
    database: str,
) -> None:
    async with open_house(database, holds_per_second_per_user=1, holds_burst_seconds=2) as house:
        showtime = await house.showtime()
        hold_id = await house.held("ada", showtime, "A1")
        path = f"showtimes/{showtime}/holds/{hold_id}"
        await house.ask("ada", "PATCH", path, {"extend": True})
        limited = await house.ask("ada", "DELETE", path)
        assert limited.error == (429, "RATE_LIMITED")
        assert limited.headers["Retry-After"] == "1"
        signed = {"Authorization": f"Bearer {house.token('ada')}"}
        async with house.client.ws_connect(
            f"showtimes/{showtime}/watch?deltas=false", headers=signed
        ) as socket:
            codes = []
            for seat in ("A2", "A3", "A4"):
                await socket.send_json({"type": "hold", "ref": 1, "seats": [seat]})
                codes.append((await socket.receive_json()).get("error", {}).get("code"))
        assert codes[-1] == "RATE_LIMITED"
        assert (await house.hold("bob", showtime, "B1")).status == 201


async def test_writes_of_one_user_are_bounded_and_reads_are_not(database: str) -> None:
    async with open_house(database, writes_per_minute_per_user=10) as house:
        body = {"showtime_id": house.screen_id, "hold_id": house.screen_id}
        body |= {"payment": {"method": "demo"}}
        answers = [await house.ask("ada", "POST", "bookings", body) for _ in range(12)]
        assert [answer.status for answer in answers[-3:]] == [404, 429, 429]
        assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
        assert (await house.ask("ada", "GET", "bookings")).status == 200
        assert (await house.ask("bob", "POST", "bookings", body)).status == 404
        text = await (await house.client.get(f"http://127.0.0.1:{house.port}/metrics")).text()
        assert 'cinema_throttled_requests_total{kind="writes"} 2.0' in text


async def test_five_fresh_accounts_hold_no_whole_room_nor_one_many_showtimes(
    database: str,
) -> None:
    """Nobody's e-mail address is proven here, so each may hold ten seats, wherever they are."""
    async with open_house(database, unpaid_seats_per_unverified=10) as house:
        showtimes = [await house.showtime() for _ in range(4)]
        answers = [
            await house.hold("ada", one, *["A1", "A2", "A3", "A4", "A5"]) for one in showtimes
        ]
        assert [one.status for one in answers] == [201, 201, 409, 409]
        assert answers[2].error == (409, "HOLD_LIMIT")
        assert answers[2].details == {"limit": "unpaid_seats", "value": 10, "unpaid": 10}
        booked = await house.book("ada", showtimes[0], answers[0].data["hold_id"])
        assert booked.status == 201
        assert (await house.hold("ada", showtimes[2], "A1", "A2")).status == 201
        assert (
            await house.hold("staff", showtimes[3], *["A1", "A2", "A3", "A4", "A5"])
        ).status == 201
        assert (
            await house.hold("staff", showtimes[3], *["B1", "B2", "B3", "B4", "B5", "B6"])
        ).status == 201


async def test_proven_address_may_hold_twice_as_many(database: str) -> None:
    async with open_house(database, unpaid_seats_per_unverified=1) as house:
        await house.database.execute("update users set email_verified = true")
        showtime = await house.showtime(live_holds_per_customer=9)
        for row in "AB":
            seats = [f"{row}{number}" for number in range(1, 9)]
            assert (await house.hold("ada", showtime, *seats)).status == 201
        answer = await house.hold("ada", showtime, "C3", "C4", "C5", "C6", "C7")
        assert answer.details == {"limit": "unpaid_seats", "value": 20, "unpaid": 16}


@pytest.mark.parametrize("is_gone", [True, False])
async def test_a_client_that_is_gone_has_no_hash_made_and_one_that_closed_its_side_is_answered(
    database: str, monkeypatch: pytest.MonkeyPatch, *, is_gone: bool
) -> None:
    tried: list[bytes] = []
    release = threading.Event()

    def held_up(password: bytes, _: bytes) -> bool:
        tried.append(password)
        release.wait(PATIENCE_S)
        return False

    body = {"email": "nobody@example.com", "password": "secret-secret"}
    try:
        async with open_house(database) as house:
            monkeypatch.setattr(bcrypt, "checkpw", held_up)
            threads = [
                asyncio.ensure_future(house.ask(None, "POST", "auth/login", body))
                for _ in range(HASHING_THREADS)
            ]
            await house.until(lambda: len(tried) == HASHING_THREADS)
            await until_metric(house, "cinema_passwords_waiting 0.0")
            sent = msgspec.json.encode(body)
            head = f"Host: a\r\nContent-Type: application/json\r\nContent-Length: {len(sent)}"
            reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
            writer.write(f"POST /api/v1/auth/login HTTP/1.1\r\n{head}\r\n\r\n".encode() + sent)
            await until_metric(house, "cinema_passwords_waiting 1.0")
            opened = list(connections_of(house.node.edge))
            if is_gone:
                # With a reset: who just closes could still be waiting for the answer.
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, linger
                )
                writer.transport.abort()
            else:
                writer.write_eof()
            await house.until(lambda: any(one.has_hung_up is not False for one in opened))
            release.set()
            assert [one.status for one in await asyncio.gather(*threads)] == [401, 401]
            if is_gone:
                await until_metric(house, "cinema_passwords_refused_total 1.0")
            else:
                assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
                writer.close()
            assert len(tried) == HASHING_THREADS + (not is_gone)
    finally:
        release.set()


async def until_metric(house: House, line: str) -> None:
    """Ask for the metrics until they have this line."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with house.client.get(f"http://127.0.0.1:{house.port}/metrics") as answer:
                if line in (await answer.text()).splitlines():
                    return
            await look_again()
