"""Watching a seat map: snapshots, deltas, resuming, and who may connect."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cinema.domain.ids import parse_id
from cinema.domain.showtime.commands import BlockSeats, UnblockSeats
from tests.e2e.api.house import ORIGIN, UNKNOWN_ID, Clocks, House, open_house
from tests.e2e.api.sockets import Mirror, Socket, shake_hands, watching

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def seat_map(house: House, showtime_id: str) -> Any:
    return (await house.ask(None, "GET", f"showtimes/{showtime_id}/seats")).data


async def test_watcher_starts_with_a_snapshot(house: House) -> None:
    showtime_id = await house.showtime()
    await house.held("ada", showtime_id, "A1")
    await house.booked("bob", showtime_id, "B2")
    async with watching(house, showtime_id) as socket:
        snapshot = await socket.message()
    seen = await seat_map(house, showtime_id)
    assert snapshot == {
        "type": "snapshot",
        "epoch": seen["epoch"],
        "seq": seen["seq"],
        "layout_version": 1,
        "taken": {"A1": "held", "B2": "booked"},
    }


async def test_deltas_name_what_changed_since_the_frame_before(house: House) -> None:
    showtime_id = await house.showtime()
    async with watching(house, showtime_id) as socket:
        snapshot = await socket.message()
        hold = (await house.hold("ada", showtime_id, "A1", "A2")).data
        delta = await socket.message()
        assert delta == {
            "type": "delta",
            "epoch": hold["epoch"],
            "prev_seq": snapshot["seq"],
            "seq": hold["seq"],
            "changes": {"A1": "held", "A2": "held"},
        }
        path = f"showtimes/{showtime_id}/holds/{hold['hold_id']}"
        await house.ask("ada", "DELETE", f"{path}?seats=A2")
        released = await socket.message()
        assert (released["prev_seq"], released["changes"]) == (delta["seq"], {"A2": "available"})
        booking = (await house.book("ada", showtime_id, hold["hold_id"])).data
        assert (await socket.message())["changes"] == {"A1": "booked"}
        await house.ask("ada", "DELETE", f"bookings/{booking['id']}")
        assert (await socket.message())["changes"] == {"A1": "available"}
        raw = parse_id(showtime_id)
        assert raw is not None
        kernel = house.node.kernel
        await kernel.ask(raw, BlockSeats(command_id=bytes(16), labels=["C8"]))
        assert (await socket.message())["changes"] == {"C8": "blocked"}
        await kernel.ask(raw, UnblockSeats(command_id=bytes(16), labels=["C8"]))
        assert (await socket.message())["changes"] == {"C8": "available"}


async def test_expiry_is_seen_by_watchers(clocks: Clocks, database: str) -> None:
    async with open_house(database, clocks=clocks) as house:
        showtime_id = await house.showtime()
        await house.held("ada", showtime_id, "A1")
        async with watching(house, showtime_id) as socket:
            assert (await socket.message())["taken"] == {"A1": "held"}
            clocks.ahead_s = 601
            assert (await socket.message())["changes"] == {"A1": "available"}


async def test_many_watchers_follow_many_changes(house: House) -> None:
    """Each picture, built from frames alone, ends as the seat map; joining late is no different."""
    showtime_id = await house.showtime(live_holds_per_customer=24, companions_need_accessible=False)

    async def follow(socket: Socket, done: asyncio.Event) -> Mirror:
        mirror = Mirror()
        await mirror.follow(socket, 0)
        await done.wait()
        last = await seat_map(house, showtime_id)
        await mirror.follow(socket, last["seq"])
        taken = {s["label"]: s["status"] for s in last["seats"] if s["status"] != "available"}
        assert mirror.taken == taken
        assert mirror.snapshots == 1
        return mirror

    async def churn(row: str, person: str) -> None:
        for number in range(1, 9):
            hold_id = await house.held(person, showtime_id, f"{row}{number}")
            if number % 3 == 0:
                await house.book(person, showtime_id, hold_id)
            elif number % 3 == 1:
                await house.ask(person, "DELETE", f"showtimes/{showtime_id}/holds/{hold_id}")

    done = asyncio.Event()
    async with (
        watching(house, showtime_id) as one,
        watching(house, showtime_id) as two,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(follow(one, done))
        group.create_task(follow(two, done))
        await churn("A", "ada")
        async with watching(house, showtime_id, person="bob") as three:
            late = group.create_task(follow(three, done))
            await asyncio.gather(churn("B", "bob"), churn("C", "ada"))
            done.set()
            await late


async def test_since_resumes_with_the_deltas_that_were_missed(house: House) -> None:
    showtime_id = await house.showtime()
    mirror, others = Mirror(), Mirror()
    async with watching(house, showtime_id) as other:
        async with watching(house, showtime_id) as socket:
            mirror.take(await socket.message())
        for number in (1, 2, 3):
            hold = (await house.hold("ada", showtime_id, f"A{number}")).data
            await others.follow(other, hold["seq"])
        async with watching(house, showtime_id, f"?since={mirror.epoch}:{mirror.seq}") as again:
            await mirror.follow(again, hold["seq"])
        assert mirror.taken == {"A1": "held", "A2": "held", "A3": "held"}
        assert mirror.snapshots == 1


async def test_since_of_the_present_gets_an_empty_delta(house: House) -> None:
    showtime_id = await house.showtime()
    hold = (await house.hold("ada", showtime_id, "A1")).data
    epoch, seq = hold["epoch"], hold["seq"]
    async with watching(house, showtime_id, f"?since={epoch}:{seq}") as socket:
        assert await socket.message() == {
            "type": "delta",
            "epoch": epoch,
            "prev_seq": seq,
            "seq": seq,
            "changes": {},
        }


async def test_since_that_cannot_be_resumed_gets_a_snapshot(house: House) -> None:
    showtime_id = await house.showtime()
    hold = (await house.hold("ada", showtime_id, "A1")).data
    for since in ("1:0", f"{hold['epoch'] + 1}:{hold['seq']}", "1:999", "0:0", "1:" + "9" * 18):
        async with watching(house, showtime_id, f"?since={since}") as socket:
            message = await socket.message()
            assert (message["type"], message["taken"]) == ("snapshot", {"A1": "held"}), since


async def test_sync_asks_again_on_an_open_socket(house: House) -> None:
    showtime_id = await house.showtime()
    async with watching(house, showtime_id) as socket:
        mirror = Mirror()
        mirror.take(await socket.message())
        start = f"{mirror.epoch}:{mirror.seq}"
        for number in (1, 2):
            hold = (await house.hold("ada", showtime_id, f"A{number}")).data
            await mirror.follow(socket, hold["seq"])
        socket.send({"type": "sync"})
        snapshot = await socket.message()
        assert (snapshot["type"], snapshot["taken"]) == ("snapshot", mirror.taken)
        socket.send({"type": "sync", "since": start})
        replayed = [await socket.message(), await socket.message()]
        assert [one["changes"] for one in replayed] == [{"A1": "held"}, {"A2": "held"}]
        refused = await socket.ask(type="sync", ref=7, since="yesterday")
        assert (refused["ref"], refused["error"]["code"]) == (7, "VALIDATION_ERROR")


async def test_socket_without_deltas_gets_answers_only(house: House) -> None:
    showtime_id = await house.showtime()
    async with watching(house, showtime_id, "?deltas=false", person="ada") as socket:
        socket.send({"type": "hold", "ref": 1, "seats": ["A1"]})
        assert (await socket.message())["type"] == "result"
        socket.send({"type": "hold", "ref": 2, "seats": ["A2"]})
        assert (await socket.message())["ref"] == 2
        socket.send({"type": "sync"})
        snapshot = await socket.message()
        assert snapshot["taken"] == {"A1": "held", "A2": "held"}


async def test_watchers_go_on_when_the_owner_changes(house: House) -> None:
    """Somebody took the showtime over and gave nothing back: the epoch rises, seq goes on."""
    showtime_id = await house.showtime()
    async with watching(house, showtime_id) as socket:
        mirror = Mirror()
        mirror.take(await socket.message())
        await house.held("ada", showtime_id, "A1")
        await house.database.execute(
            "update showtime_heads set epoch = epoch + 1 where showtime_id = $1", showtime_id
        )
        answer = await house.hold("ada", showtime_id, "A2")
        while answer.status == 503:
            assert answer.error == (503, "RETRY")
            answer = await house.hold("ada", showtime_id, "A2")
        await mirror.follow(socket, answer.data["seq"])
        assert mirror.taken == {"A1": "held", "A2": "held"}
        assert mirror.epoch == answer.data["epoch"] > 1


async def test_watchers_resync_when_changes_were_made_elsewhere(house: House) -> None:
    """Another node sold seats meanwhile and left only a snapshot of it."""
    showtime_id = await house.showtime()
    async with watching(house, showtime_id) as socket:
        mirror = Mirror()
        mirror.take(await socket.message())
        await house.held("ada", showtime_id, "A1")
        async with open_house(house.address, snapshot_every_events=1, lease_ms=50) as other:
            for number in (2, 3):
                await other.held("bob", showtime_id, f"A{number}")
        answer = await house.hold("ada", showtime_id, "A4")
        while answer.status == 503:
            answer = await house.hold("ada", showtime_id, "A4")
        await mirror.follow(socket, answer.data["seq"])
        assert mirror.taken == dict.fromkeys(("A1", "A2", "A3", "A4"), "held")


# --- who may connect


async def test_socket_of_no_showtime_is_not_found(house: House) -> None:
    for showtime_id in (UNKNOWN_ID, "7"):
        handshake, _ = await shake_hands(house, f"showtimes/{showtime_id}/watch")
        assert handshake.error == (404, "NOT_FOUND")


async def test_request_without_upgrade_is_told_to(house: House) -> None:
    showtime_id = await house.showtime()
    path = f"showtimes/{showtime_id}/watch"
    plain = await house.ask(None, "GET", path)
    assert plain.error == (426, "UPGRADE_REQUIRED")
    assert plain.headers["Upgrade"] == "websocket"
    assert plain.headers["Sec-WebSocket-Version"] == "13"
    assert (await house.ask("ada", "POST", path)).error == (405, "METHOD_NOT_ALLOWED")
    for wrong in (
        {"Sec_WebSocket_Key": ""},
        {"Sec_WebSocket_Key": "short"},
        {"Sec_WebSocket_Version": "99"},
        {"Sec_WebSocket_Version": "8"},
        {"Upgrade": "h2c"},
        {"Connection": "keep-alive"},
    ):
        handshake, _ = await shake_hands(house, path, **wrong)
        assert handshake.error == (426, "UPGRADE_REQUIRED"), wrong


async def test_origin_is_checked(house: House) -> None:
    path = f"showtimes/{await house.showtime()}/watch"
    for origin, status in [
        (ORIGIN, 101),
        (f"http://127.0.0.1:{house.port}", 101),
        ("https://evil.example", 403),
        (f"{ORIGIN}.evil.example", 403),
        (f"http://127.0.0.1:{house.port}.evil.example", 403),
        ("null", 403),
    ]:
        handshake, socket = await shake_hands(house, path, Origin=origin)
        assert handshake.status == status, origin
        if status != 101:
            assert handshake.error == (403, "ORIGIN_NOT_ALLOWED")
        await socket.leave()


async def test_bad_token_or_query_is_refused_before_the_upgrade(house: House) -> None:
    path = f"showtimes/{await house.showtime()}/watch"
    for credentials, reason in [
        (f"Bearer {house.token('ada', at_s=1.0)}", "TOKEN_EXPIRED"),
        ("Bearer nonsense", "INVALID_TOKEN"),
        ("Basic dTpw", "NO_BEARER_TOKEN"),
    ]:
        handshake, _ = await shake_hands(house, path, Authorization=credentials)
        assert handshake.error == (401, "UNAUTHENTICATED")
        assert handshake.envelope["error"]["details"] == {"reason": reason}
    for query in ("since=1", "since=a:b", "since=-1:0", "since=1:" + "9" * 19, "x=1", "deltas=x"):
        handshake, _ = await shake_hands(house, f"{path}?{query}")
        assert handshake.error == (400, "VALIDATION_ERROR"), query


async def test_sockets_are_limited(database: str) -> None:
    async with open_house(database, watchers_limit=2) as house:
        showtime_id = await house.showtime()
        path = f"showtimes/{showtime_id}/watch"
        answers = await asyncio.gather(*(shake_hands(house, path) for _ in range(6)))
        assert sorted(handshake.status for handshake, _ in answers) == [101] * 2 + [503] * 4
        refused = next(handshake for handshake, _ in answers if handshake.status == 503)
        assert refused.error == (503, "OVERLOADED")
        assert int(refused.headers["retry-after"]) >= 1
        for _, socket in answers:
            await socket.leave()


async def test_stopping_server_says_that_it_is_going_away(database: str) -> None:
    async with open_house(database) as house:
        showtime_id = await house.showtime()
        async with watching(house, showtime_id) as socket:
            await socket.message()
            stopping = asyncio.ensure_future(house.node.hub.close())
            assert await socket.ending() == (1001, "server stopping")
            await stopping


async def test_socket_that_comes_while_the_server_stops_does_not_keep_it(database: str) -> None:
    async with open_house(database) as house:
        showtime_id = await house.showtime()
        await house.node.hub.close()
        async with watching(house, showtime_id) as socket:
            assert await socket.ending() == (1001, "server stopping")
        assert house.node.hub.socket_count == 0


async def test_last_watcher_leaves_nothing_behind(house: House) -> None:
    showtime_id = await house.showtime()
    for _ in range(3):
        async with watching(house, showtime_id) as socket:
            await socket.message()
            assert house.node.hub.socket_count == 1
            assert house.node.hub.showtime_count == 1
        await house.until(lambda: house.node.hub.socket_count == 0)
        assert house.node.hub.showtime_count == 0
