"""Who may use the control endpoint, and what it leaves in the log."""

from __future__ import annotations

import asyncio
import logging

import pytest
import structlog

from cinema.domain.principal import InvalidToken
from cinema.features.operations.routes import BASE
from cinema.features.operations.token import OperatorTokens
from cinema.settings import Settings
from cinema.telemetry.logging import log_level, set_log_level
from tests.e2e.api.house import ROLES, UNKNOWN_ID
from tests.e2e.control.desk import TOKEN, Desk, open_desk

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def operations(desk: Desk) -> list[tuple[str, str]]:
    """Method and path of every operation, its ids filled in with those of nobody."""
    async with desk.client.get(
        "openapi.json", headers={"Authorization": f"Bearer {TOKEN}"}
    ) as reply:
        document = await reply.json()
    return [
        ("GET", "openapi.json"),
        *(
            (method.upper(), path.removeprefix(f"{BASE}/").replace("{label}", "F7"))
            for path, methods in document["paths"].items()
            for method in methods
        ),
    ]


def filled(path: str) -> str:
    return path.replace("{showtime_id}", UNKNOWN_ID).replace("{node_id}", UNKNOWN_ID)


async def test_nothing_is_shown_or_done_without_the_admin_token(desk: Desk) -> None:
    wrong = {
        "nobody": None,
        "guess": "operators-of-this-house-know-7f3a9c52",
        "beginning": TOKEN[:-1],
        "longer": TOKEN + "1",
        "not ascii": "ö" * 36,
        **{person: desk.house.token(person) for person in ROLES},
    }
    for method, path in await operations(desk):
        for token in wrong.values():
            answer = await desk.ask(method, filled(path), token=token)
            assert answer.error == (401, "UNAUTHENTICATED"), (method, path, token)
        known = await desk.ask(method, filled(path))
        assert known.status not in {401, 403}, (method, path)


async def test_the_api_does_not_know_the_admin_token_or_these_routes(desk: Desk) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with desk.house.client.get("auth/me", headers=headers) as reply:
        assert reply.status == 401
    async with desk.house.client.get(f"{BASE}/nodes", headers=headers) as reply:
        assert reply.status == 404


async def test_pages_of_other_origins_get_no_permission(desk: Desk) -> None:
    answer = await desk.ask("GET", "nodes", headers={"Origin": "https://tickets.example"})
    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_an_empty_token_opens_nothing() -> None:
    for nothing in ("", " ,\n"):
        with pytest.raises(ValueError, match="empty"):
            OperatorTokens(nothing)
    with pytest.raises(InvalidToken):
        OperatorTokens(TOKEN).verify("")


async def test_what_operators_do_is_logged_whatever_the_level(desk: Desk) -> None:
    showtime = await desk.house.showtime()
    set_log_level("error")
    try:
        with structlog.testing.capture_logs() as events:
            headers = {"Cinema-Operator": "ada@desk", "X-Request-ID": "who-did-it"}
            await desk.ask("POST", f"showtimes/{showtime}/passivate", headers=headers)
            await desk.ask("POST", f"showtimes/{UNKNOWN_ID}/passivate")
    finally:
        set_log_level("info")
    done, refused = [one for one in events if one["event"] == "operator_acted"]
    assert done == {
        "event": "operator_acted",
        "log_level": "info",
        "action": "passivate",
        "outcome": "done",
        "holder": "operator",
        "operator": "ada@desk",
        "address": "127.0.0.1",
        "request_id": "who-did-it",
        "showtime_id": showtime,
    }
    assert (refused["outcome"], refused["operator"]) == ("NOT_FOUND", "unnamed")


@pytest.mark.parametrize("name", ["x" * 65, "a b", "a\tb", ""])
async def test_a_name_that_could_deceive_a_reader_of_the_log_is_not_written(
    desk: Desk, name: str
) -> None:
    with structlog.testing.capture_logs() as events:
        path = f"showtimes/{UNKNOWN_ID}/passivate"
        await desk.ask("POST", path, headers={"Cinema-Operator": name})
    (one,) = [event for event in events if event["event"] == "operator_acted"]
    assert one["operator"] == "unnamed"


async def test_the_log_level_changes_while_the_node_runs(desk: Desk) -> None:
    path = f"nodes/{desk.node_id}/log-level"
    before = await desk.get(path)
    try:
        assert (await desk.ask("PUT", path, {"level": "debug"})).data["level"] == "debug"
        assert log_level() == "debug"
        assert (await desk.get("nodes"))[0]["status"]["log_level"] == "debug"
        # Libraries are never asked for more than INFO.
        assert logging.getLogger().level == logging.INFO
        assert (await desk.ask("PUT", path, {"level": "error"})).data["level"] == "error"
        assert logging.getLogger().level == logging.ERROR
        refused = await desk.ask("PUT", path, {"level": "loud"})
        assert refused.error == (400, "VALIDATION_ERROR")
    finally:
        await desk.ask("PUT", path, {"level": before["level"]})


async def test_a_node_without_a_token_has_no_control_endpoint(database: str) -> None:
    from tests.e2e.api.house import open_site

    async with open_site(database) as site:
        assert await site.node.control.start() is None


async def test_beyond_loopback_production_wants_https() -> None:
    from cinema.http.server import control_options

    def required(**settings: object) -> bool:
        return control_options(Settings(**settings)).require_https  # type: ignore[arg-type]

    assert required(environment="production", control_host="0.0.0.0")
    assert not required(environment="production")
    assert not required(control_host="0.0.0.0")


async def test_a_drained_node_that_is_alone_is_told_to_stop(database: str) -> None:
    async with open_desk(database) as desk:
        answer = await desk.ask("POST", f"nodes/{desk.node_id}/drain")
        assert (answer.status, answer.data["draining"]) == (202, True)
        (node,) = await desk.get("nodes")
        assert node["draining"] is True
        again = await desk.ask("POST", f"nodes/{desk.node_id}/drain")
        assert again.status == 202
        await asyncio.wait_for(desk.site.stopping.wait(), 1)
