"""Commands on the watch socket: the same rules as over HTTP, pipelined."""

from __future__ import annotations

from typing import Any

import pytest

from cinema.features.watching.session import COMMANDS_PER_TURN
from tests.e2e.api.house import UNKNOWN_ID, Clocks, House, open_house
from tests.e2e.api.sockets import Mirror, watching
from tests.support import inspection

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUIET = "?deltas=false"


def codes(answers: list[Any]) -> list[str]:
    return [answer["error"]["code"] for answer in answers]


async def test_hold_over_the_socket_is_a_hold_like_any_other(house: House) -> None:
    showtime_id = await house.showtime()
    async with watching(house, showtime_id, person="ada") as socket:
        answer = await socket.ask(type="hold", ref=1, seats=["A1", "A2"])
        assert set(answer) == {"type", "ref", "data"}
        assert (answer["type"], answer["ref"]) == ("result", 1)
        hold = answer["data"]
        path = f"showtimes/{showtime_id}/holds/{hold['hold_id']}"
        assert (await house.ask("ada", "GET", path)).data == hold
        part = await socket.ask(type="release", ref=2, hold_id=hold["hold_id"], seats=["A2"])
        assert [seat["label"] for seat in part["data"]["seats"]] == ["A1"]
        longer = await socket.ask(type="extend", ref=3, hold_id=hold["hold_id"])
        assert longer["data"]["expires_at"] >= hold["expires_at"]
        gone = await socket.ask(type="release", ref=4, hold_id=hold["hold_id"])
        assert gone["data"]["status"] == "released"
        late = await socket.ask(type="extend", ref=5, hold_id=hold["hold_id"])
        assert late["error"]["code"] == "HOLD_ENDED"
        assert late["error"]["details"] == {"status": "released"}
    assert await house.statuses(showtime_id) == {}


async def test_sender_sees_the_change_as_every_watcher_does(house: House) -> None:
    showtime_id = await house.showtime()
    async with watching(house, showtime_id, person="ada") as socket:
        mirror = Mirror()
        mirror.take(await socket.message())
        socket.send({"type": "hold", "ref": 1, "seats": ["A1"]})
        hold = (await socket.message("result"))["data"]
        await mirror.follow(socket, hold["seq"])
        assert mirror.taken == {"A1": "held"}


async def test_ref_comes_back_as_it_was_sent(house: House) -> None:
    showtime_id = await house.showtime()
    async with watching(house, showtime_id, QUIET, person="ada") as socket:
        for ref in (0, -1, 2**53, "", "ünïcode", "x" * 64, None):
            answer = await socket.ask(type="hold", ref=ref, seats=["Z1"])
            assert answer["ref"] == ref
        assert (await socket.ask(type="hold", seats=["Z1"]))["ref"] is None


async def test_refusals_have_the_contracts_form(house: House) -> None:
    showtime_id = await house.showtime(live_holds_per_customer=24)
    theirs = await house.held("bob", showtime_id, "A1")
    cases: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
        ({"type": "hold", "seats": ["A1"]}, "SEAT_UNAVAILABLE", {"seats": ["A1"]}),
        ({"type": "hold", "seats": ["Z9"]}, "UNKNOWN_SEAT", {"seats": ["Z9"]}),
        ({"type": "hold", "seats": ["A2", "A2"]}, "DUPLICATE_SEAT", {"seats": ["A2"]}),
        ({"type": "hold", "seats": ["C1"]}, "COMPANION_ONLY", {"seats": ["C1"]}),
        ({"type": "hold", "seats": []}, "VALIDATION_ERROR", {"path": "$.seats"}),
        ({"type": "hold", "seats": [7]}, "VALIDATION_ERROR", {"path": "$.seats[0]"}),
        ({"type": "hold"}, "VALIDATION_ERROR", {"path": "$.seats"}),
        ({"type": "hold", "seats": ["A2"], "x": 1}, "VALIDATION_ERROR", {"path": "$.x"}),
        ({"type": "hold", "seats": ["A2"], "key": "ü"}, "VALIDATION_ERROR", {"path": "$.key"}),
        ({"type": "hold", "seats": ["A2"], "key": "k\n"}, "VALIDATION_ERROR", {"path": "$.key"}),
        ({"type": "hold", "seats": ["A2"], "key": ""}, "VALIDATION_ERROR", {"path": "$.key"}),
        ({"type": "dance"}, "VALIDATION_ERROR", {"path": "$.type"}),
        ({"seats": ["A2"]}, "VALIDATION_ERROR", {"path": "$.type"}),
        ({"type": "release", "hold_id": theirs}, "NOT_FOUND", {}),
        ({"type": "extend", "hold_id": theirs}, "NOT_FOUND", {}),
        ({"type": "extend", "hold_id": UNKNOWN_ID}, "NOT_FOUND", {}),
        ({"type": "extend", "hold_id": "x" * 36}, "NOT_FOUND", {}),
        ({"type": "extend", "hold_id": "x"}, "VALIDATION_ERROR", {"path": "$.hold_id"}),
    ]
    async with watching(house, showtime_id, QUIET, person="ada") as socket:
        for ref, (message, code, details) in enumerate(cases):
            answer = await socket.ask(ref=ref, **message)
            assert set(answer) == {"type", "ref", "error"}
            assert (answer["type"], answer["ref"]) == ("error", ref), message
            assert set(answer["error"]) >= {"code", "message", "details"}
            assert answer["error"]["code"] == code, message
            assert answer["error"]["message"]
            assert details.items() <= answer["error"]["details"].items(), message
    assert await house.statuses(showtime_id) == {"A1": "held"}


# --- keys


async def test_key_makes_a_command_happen_once(house: House) -> None:
    showtime_id = await house.showtime()
    async with watching(house, showtime_id, QUIET, person="ada") as socket:
        first = await socket.ask(type="hold", ref=1, seats=["A1"], key="k")
        again = await socket.ask(type="hold", ref=2, seats=["A1"], key="k")
        assert (again["ref"], again["data"]) == (2, first["data"])
        other = await socket.ask(type="hold", ref=3, seats=["A2"], key="k")
        assert other["error"]["code"] == "IDEMPOTENCY_MISMATCH"
        hold_id = first["data"]["hold_id"]
        assert "data" in await socket.ask(type="release", hold_id=hold_id, key="k")
    async with watching(house, showtime_id, QUIET, person="ada") as later:
        replay = await later.ask(type="hold", ref=9, seats=["A1"], key="k")
        assert replay["data"] == first["data"]
    async with watching(house, showtime_id, QUIET, person="bob") as socket:
        theirs = await socket.ask(type="hold", seats=["A3"], key="k")
        assert theirs["data"]["hold_id"] != first["data"]["hold_id"]


async def test_pipelined_commands_under_one_key_have_one_effect(house: House) -> None:
    showtime_id = await house.showtime(live_holds_per_customer=24)
    async with watching(house, showtime_id, QUIET, person="ada") as socket:
        socket.send(
            *({"type": "hold", "ref": n, "seats": ["A1"], "key": "k"} for n in range(32)),
        )
        answers = await socket.answers(32)
    assert {answer["ref"] for answer in answers} == set(range(32))
    assert len({answer["data"]["hold_id"] for answer in answers}) == 1


# --- pipelining


async def test_commands_are_pipelined_and_each_is_answered_once(house: House) -> None:
    screen_id = await house.screen(grid={"rows": 20, "columns": 20})
    showtime_id = await house.showtime(screen_id=screen_id, live_holds_per_customer=400)
    labels = [f"{row}{number}" for row in "ABCDEFGHIJ" for number in range(1, 21)]
    async with watching(house, showtime_id, QUIET, person="ada") as socket:
        socket.send(
            *({"type": "hold", "ref": ref, "seats": [label]} for ref, label in enumerate(labels))
        )
        answers = await socket.answers(len(labels))
    assert sorted(answer["ref"] for answer in answers) == list(range(len(labels)))
    by_ref = {answer["ref"]: answer["data"]["seats"][0]["label"] for answer in answers}
    assert [by_ref[ref] for ref in range(len(labels))] == labels
    # Commands of one socket are carried out in the order in which they were sent.
    seqs = [answer["data"]["seq"] for answer in sorted(answers, key=lambda one: one["ref"])]
    assert seqs == sorted(seqs)


async def test_only_so_many_commands_are_in_flight(database: str) -> None:
    """While nothing can commit, a socket's commands stop reaching the showtime."""
    async with open_house(database, ws_commands_in_flight=4) as house:
        showtime_id = await house.showtime(live_holds_per_customer=24)
        await house.held("bob", showtime_id, "C8")
        decisions = house.node.kernel.metrics.decisions
        async with watching(house, showtime_id, QUIET, person="ada") as socket:
            async with house.database.transaction():
                await house.database.execute("select 1 from showtime_heads for update")
                socket.send(
                    *({"type": "hold", "ref": n, "seats": [f"A{n}"]} for n in range(1, 9)),
                    {"type": "hold", "ref": 9, "seats": ["Z9"]},
                )
                await house.until(lambda: decisions["HoldSeats", "accepted"] >= 5)
                assert decisions["HoldSeats", "accepted"] == 1 + 4
                assert decisions["HoldSeats", "UNKNOWN_SEAT"] == 0
            answers = await socket.answers(9)
    assert [answer["ref"] for answer in answers] == list(range(1, 10))
    assert answers[-1]["error"]["code"] == "UNKNOWN_SEAT"


# --- who is it


async def test_token_in_the_first_frame_signs_in(house: House) -> None:
    showtime_id = await house.showtime()
    async with watching(house, showtime_id, QUIET) as socket:
        socket.send(
            {"type": "auth", "ref": "me", "token": house.token("ada")},
            {"type": "hold", "ref": 1, "seats": ["A1"]},
        )
        welcome, result = await socket.answers(2)
        assert welcome == {"type": "result", "ref": "me", "data": {"user_id": house.people["ada"]}}
        path = f"showtimes/{showtime_id}/holds/{result['data']['hold_id']}"
        assert (await house.ask("ada", "GET", path)).status == 200


async def test_commands_need_a_token(house: House) -> None:
    showtime_id = await house.showtime()
    async with watching(house, showtime_id, QUIET) as socket:
        for message in (
            {"type": "hold", "seats": ["A1"]},
            {"type": "release", "hold_id": UNKNOWN_ID},
            {"type": "extend", "hold_id": UNKNOWN_ID},
        ):
            answer = await socket.ask(ref=1, **message)
            assert answer["error"]["code"] == "UNAUTHENTICATED"
            assert answer["error"]["details"] == {"reason": "NO_TOKEN"}
        for token, reason in [
            ("nonsense", "INVALID_TOKEN"),
            (house.token("ada", at_s=1.0), "TOKEN_EXPIRED"),
        ]:
            answer = await socket.ask(type="auth", token=token)
            assert answer["error"]["details"] == {"reason": reason}
        after = await socket.ask(type="hold", seats=["A1"])
        assert after["error"]["details"] == {"reason": "NO_TOKEN"}
    assert await house.statuses(showtime_id) == {}


async def test_bad_token_leaves_the_good_one_in_place(house: House) -> None:
    showtime_id = await house.showtime()
    async with watching(house, showtime_id, QUIET, person="ada") as socket:
        assert "error" in await socket.ask(type="auth", token="nonsense")
        assert "data" in await socket.ask(type="hold", seats=["A1"])


async def test_expired_token_is_renewed_on_the_socket(clocks: Clocks, database: str) -> None:
    async with open_house(database, clocks=clocks) as house:
        showtime_id = await house.showtime()
        async with watching(house, showtime_id, QUIET, person="ada") as socket:
            assert "data" in await socket.ask(type="hold", seats=["A1"])
            clocks.ahead_s = 3601
            refused = await socket.ask(type="hold", seats=["A3"])
            assert refused["error"]["details"] == {"reason": "TOKEN_EXPIRED"}
            fresh = house.token("ada", at_s=clocks.now_s())
            assert "data" in await socket.ask(type="auth", token=fresh)
            assert "data" in await socket.ask(type="hold", seats=["A3"])


async def test_revoked_token_commands_nothing_more(house: House) -> None:
    showtime_id = await house.showtime()
    async with watching(house, showtime_id, QUIET, person="bob") as socket:
        assert "data" in await socket.ask(type="hold", seats=["A1"])
        path = f"admin/users/{house.people['bob']}/promote"
        assert (await house.ask("admin", "POST", path, {"role": "customer"})).status == 200
        refused = await socket.ask(type="hold", seats=["A3"])
        assert refused["error"]["details"] == {"reason": "TOKEN_REVOKED"}


async def test_answer_to_a_client_that_left_is_dropped_and_its_hold_stays(house: House) -> None:
    showtime_id = await house.showtime()
    async with watching(house, showtime_id, QUIET, person="ada") as socket:
        decisions = house.node.kernel.metrics.decisions
        before = decisions["HoldSeats", "accepted"]
        socket.send({"type": "hold", "ref": 1, "seats": ["A1"], "key": "k"})
        await socket.writer.drain()
        await house.until(lambda: decisions["HoldSeats", "accepted"] > before)
    async with watching(house, showtime_id, QUIET, person="ada") as socket:
        again = await socket.ask(type="hold", seats=["A1"], key="k")
        assert again["data"]["seats"][0]["label"] == "A1"
    assert await house.statuses(showtime_id) == {"A1": "held"}


async def test_commands_take_turns_with_the_requests_of_others(
    house: House,
) -> None:
    showtime_id = await house.showtime()
    turns = house.node.hub.turns
    async with watching(house, showtime_id, person="ada") as socket:
        turns.left = 0
        answer = await socket.ask(type="hold", ref=1, seats=["A1"])
        assert answer["type"] == "result"
        inspection.let_every_turn_come_too_late(turns)
        turns.left, refused = 0, turns.refused
        # The turn has paid for some more commands.
        for ref in range(2, COMMANDS_PER_TURN + 1):
            answer = await socket.ask(type="hold", ref=ref, seats=["A1"])
            assert answer["error"]["code"] == "SEAT_UNAVAILABLE"
        for ref in range(COMMANDS_PER_TURN + 1, COMMANDS_PER_TURN + 3):
            turns.left = 0
            answer = await socket.ask(type="hold", ref=ref, seats=["A2"])
            assert (answer["error"]["code"], answer["error"]["retry_after_s"]) == ("OVERLOADED", 1)
        assert turns.refused == refused + 2
    assert await house.statuses(showtime_id) == {"A1": "held"}
