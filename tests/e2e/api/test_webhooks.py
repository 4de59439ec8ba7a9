"""Webhooks: sent to real receivers, in order, again after failures, signed with two secrets."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from cinema.features.webhooks.rules import DISABLED_AFTER, GIVEN_UP_AFTER
from cinema.features.webhooks.store import IN_FLIGHT, WEBHOOKS_LIMIT
from tests.e2e.api.house import PATIENCE_S, UNKNOWN_ID, Answer, Clocks, House, open_house
from tests.support.receivers import Received, Receiver, receiver
from tests.support.waiting import look_again

pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="function")]

PATH = "admin/webhooks"
DAY_S = 86_400.0


@pytest_asyncio.fixture(loop_scope="function")
async def house(database: str, clocks: Clocks) -> AsyncIterator[House]:
    networks = ("127.0.0.0/8",)
    async with open_house(database, clocks=clocks, webhook_allowed_networks=networks) as house:
        yield house


@pytest_asyncio.fixture(loop_scope="function")
async def partner() -> AsyncIterator[Receiver]:
    async with receiver() as one:
        yield one


async def admin(house: House, method: str, path: str, body: Any = None, **how: Any) -> Answer:
    return await house.ask("admin", method, path, body, **how)


async def webhook(house: House, partner: Receiver, **asked: Any) -> tuple[str, str]:
    """The id and the secret of a new webhook."""
    made = await admin(house, "POST", PATH, {"url": partner.url, **asked})
    assert made.status == 201, made
    return made.data["webhook"]["id"], made.data["secret"]


async def shown(house: House, webhook_id: str) -> dict[str, Any]:
    return dict((await admin(house, "GET", f"{PATH}/{webhook_id}")).data)


async def deliveries(house: House, webhook_id: str, query: str = "") -> list[dict[str, Any]]:
    answer = await admin(house, "GET", f"{PATH}/{webhook_id}/deliveries?{query}")
    assert answer.status == 200, answer
    return list(answer.data)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(2 * PATIENCE_S):
        while not await holds():
            await look_again()


async def hurry(house: House) -> None:
    """What failed is due at once, as if its wait were over."""
    await house.database.execute("update webhook_endpoints set resume_at = null")
    await house.database.execute(
        "update webhook_deliveries set next_try_at = now() - interval '1 s'"
        " where status = 'waiting' and claimed_until is null"
    )


def types(received: list[Received]) -> list[str]:
    return [one.event["type"] for one in received]


def failing(status: int = 500) -> Callable[[Received], web.Response]:
    return lambda _: web.Response(status=status)


async def test_a_booking_is_told_signed_and_as_the_list_of_events_has_it(
    house: House, partner: Receiver
) -> None:
    webhook_id, secret = await webhook(house, partner)
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1")
    (received,) = await partner.until(1)
    event = received.verified(secret)
    assert (event["type"], event["booking_id"]) == ("booking.confirmed", booking_id)
    assert received.headers["webhook-id"] == event["id"]
    assert [event] == (await admin(house, "GET", "admin/events")).data

    async def is_noted() -> bool:
        return (await shown(house, webhook_id))["last_delivered_at"] is not None

    await until(is_noted)
    (delivery,) = await deliveries(house, webhook_id, "status=delivered")
    assert (delivery["attempts"], delivery["last_status"]) == (1, 204)
    assert delivery["event_id"] == event["id"]


async def test_only_what_a_receiver_wants_is_sent(house: House, partner: Receiver) -> None:
    async with receiver() as elsewhere:
        await webhook(house, partner, types=["booking.cancelled"])
        await webhook(house, elsewhere, cinema_id=UNKNOWN_ID)
        showtime_id = await house.showtime()
        booking_id = await house.booked("ada", showtime_id, "A1")
        await house.ask("ada", "DELETE", f"bookings/{booking_id}")
        await partner.until(1)
        assert types(partner.received) == ["booking.cancelled"]
        assert elsewhere.received == []


async def test_a_secret_is_shown_once_and_kept_sealed(house: House, partner: Receiver) -> None:
    body = {"url": partner.url}
    first, again = [await admin(house, "POST", PATH, body, key="one") for _ in range(2)]
    assert first.data == again.data
    secret, webhook_id = first.data["secret"], first.data["webhook"]["id"]
    assert len((await admin(house, "GET", PATH)).data) == 1
    assert secret not in str(await shown(house, webhook_id))
    for kept in (
        "select string_agg(w::text, '') from webhook_endpoints w",
        "select string_agg(convert_from(response, 'utf8'), '') from idempotent_requests",
        "select string_agg(a::text, '') from audit_log a",
    ):
        assert secret.removeprefix("whsec_") not in (await house.database.fetchval(kept) or "")
    actions = await house.database.fetch(
        "select action from audit_log where target_id = $1", (webhook_id)
    )
    assert [row["action"] for row in actions] == ["webhook_created"]


async def test_events_of_a_booking_come_in_order_while_attempts_fail(
    house: House, partner: Receiver
) -> None:
    """Each event fails twice, in any case while others of other bookings pass."""
    seen: dict[str, int] = defaultdict(int)

    def stubborn(received: Received) -> web.Response:
        seen[received.event["id"]] += 1
        return web.Response(status=204 if seen[received.event["id"]] > 2 else 503)

    partner.answer = stubborn
    webhook_id, _ = await webhook(house, partner)
    showtime_id = await house.showtime()
    bookings = [await house.booked("ada", showtime_id, f"{row}1", f"{row}2") for row in "AB"]
    for booking_id, row in zip(bookings, "AB", strict=True):
        await house.ask("ada", "DELETE", f"bookings/{booking_id}?seats={row}1")
        await house.ask("ada", "DELETE", f"bookings/{booking_id}")
    count = 2 * 5

    async def all_delivered() -> bool:
        await hurry(house)
        done = await house.database.fetchval(
            "select count(*) from webhook_deliveries where status = 'delivered'"
        )
        return bool(done == count)

    await until(all_delivered)
    passed: dict[str, list[int]] = defaultdict(list)
    tries: dict[str, int] = defaultdict(int)
    for received in partner.received:
        event = received.event
        tries[event["id"]] += 1
        if tries[event["id"]] == 3:
            passed[event["booking_id"]].append(event["sequence"])
        # Nothing of a booking is even tried while something earlier of it waits.
        assert event["sequence"] == len(passed[event["booking_id"]]) + (tries[event["id"]] < 3)
    assert passed == {one: [1, 2, 3, 4, 5] for one in bookings}
    assert set(tries.values()) == {3}
    assert (await shown(house, webhook_id))["failing_since"] is None


async def test_a_receiver_that_fails_is_left_alone_for_a_while(
    house: House, partner: Receiver
) -> None:
    partner.answer = failing()
    webhook_id, _ = await webhook(house, partner)
    showtime_id = await house.showtime()
    for seat in range(1, 5):
        await house.booked("ada", showtime_id, f"A{seat}")

    async def fails() -> bool:
        return (await shown(house, webhook_id))["failing_since"] is not None

    await until(fails)
    row = await house.database.fetchrow(
        "select failures, resume_at > now() as rests, last_error from webhook_endpoints"
    )
    assert row is not None
    assert row["failures"] >= 1
    assert row["rests"]
    assert "500" in row["last_error"]
    assert len(partner.received) <= IN_FLIGHT

    async def at_rest() -> bool:
        return not await house.database.fetchval(
            "select exists (select from webhook_deliveries where claimed_until is not null)"
        )

    # What fails last lengthens the rest once more.
    await until(at_rest)
    # Then one at a time tries whether it is back.
    partner.received.clear()
    partner.most_at_once = 0
    await hurry(house)
    await partner.until(1)
    assert partner.most_at_once == 1
    # It is back: all that waits comes, whatever its own wait was.
    await until(at_rest)
    partner.answer = lambda _: web.Response(status=200)
    await house.database.execute("update webhook_endpoints set failures = 9, resume_at = null")
    await house.database.execute(
        "update webhook_deliveries set next_try_at = case"
        " when position = (select min(position) from webhook_deliveries) then now()"
        " else now() + interval '6 hours' end"
    )

    async def empty() -> bool:
        return await deliveries(house, webhook_id, "status=waiting") == []

    await until(empty)


async def test_few_are_sent_to_one_receiver_at_the_same_time(
    house: House, partner: Receiver
) -> None:
    release = asyncio.Event()

    async def wait(_received: Received) -> web.Response:
        await release.wait()
        return web.Response(status=204)

    partner.answer = wait
    async with receiver() as other:
        await webhook(house, partner)
        showtime_id = await house.showtime()
        for seat in range(1, 8):
            await house.booked("ada", showtime_id, f"A{seat}")
        await partner.until(IN_FLIGHT)
        await webhook(house, other)
        await house.booked("ada", showtime_id, "B1")
        await other.until(1)
        assert len(partner.received) == IN_FLIGHT
        release.set()
        await partner.until(8)
    assert partner.most_at_once == IN_FLIGHT


async def test_redirects_are_not_followed_and_said(house: House, partner: Receiver) -> None:
    async with receiver() as target:
        partner.answer = lambda _: web.Response(status=302, headers={"Location": target.url})
        webhook_id, _ = await webhook(house, partner)
        await house.booked("ada", await house.showtime(), "A1")

        async def failed() -> bool:
            (one,) = await deliveries(house, webhook_id) or [{"last_status": None}]
            return bool(one["last_status"])

        await until(failed)
        (one,) = await deliveries(house, webhook_id)
        assert (one["status"], one["last_status"]) == ("waiting", 302)
        assert "redirects" in one["last_error"]
        assert target.received == []


async def test_an_address_inside_is_never_connected(database: str, partner: Receiver) -> None:
    """By name, so that only looking it up shows where it leads."""
    async with open_house(database) as house:
        refused = await admin(house, "POST", PATH, {"url": partner.url})
        assert refused.error == (422, "WEBHOOK_URL_REFUSED")
        url = partner.url.replace("http://127.0.0.1", "https://localhost")
        webhook_id, _ = await webhook(house, partner, url=url)
        await house.booked("ada", await house.showtime(), "A1")

        async def failed() -> bool:
            return (await shown(house, webhook_id))["last_error"] is not None

        await until(failed)
        assert "no address that may be connected" in (await shown(house, webhook_id))["last_error"]
        assert partner.received == []


async def test_both_secrets_sign_for_a_day(house: House, partner: Receiver, clocks: Clocks) -> None:
    webhook_id, old = await webhook(house, partner)
    rotated = await admin(house, "POST", f"{PATH}/{webhook_id}/secret")
    new = rotated.data["secret"]
    assert new != old
    assert rotated.data["webhook"]["previous_secret_until"] is not None
    showtime_id = await house.showtime()
    await house.booked("ada", showtime_id, "A1")
    (first,) = await partner.until(1)
    for secret in (old, new):
        first.verified(secret)
    assert first.headers["webhook-signature"].count("v1,") == 2
    await house.database.execute(
        "update webhook_endpoints set previous_until = now() - interval '1 s'"
    )
    await house.booked("ada", showtime_id, "A2")
    _, second = await partner.until(2)
    second.verified(new)
    assert second.headers["webhook-signature"].count("v1,") == 1
    assert (await admin(house, "POST", f"{PATH}/{UNKNOWN_ID}/secret")).status == 404


async def test_after_five_days_of_failure_nothing_more_is_sent_until_it_is_switched_on(
    house: House, partner: Receiver
) -> None:
    partner.answer = failing(503)
    webhook_id, _ = await webhook(house, partner)
    showtime_id = await house.showtime()
    await house.booked("ada", showtime_id, "A1")

    async def fails() -> bool:
        return (await shown(house, webhook_id))["failing_since"] is not None

    await until(fails)
    assert (await shown(house, webhook_id))["enabled"]
    await house.database.execute(
        "update webhook_endpoints set failing_since = failing_since - $1::interval",
        DISABLED_AFTER - timedelta(minutes=1),
    )
    await hurry(house)

    async def tried(count: int) -> bool:
        return bool((await deliveries(house, webhook_id))[0]["attempts"] >= count)

    await until(lambda: tried(2))
    assert (await shown(house, webhook_id))["enabled"]
    await house.database.execute(
        "update webhook_endpoints set failing_since = failing_since - interval '1 min'"
    )

    async def off() -> bool:
        await hurry(house)
        return not (await shown(house, webhook_id))["enabled"]

    await until(off)
    disabled = await shown(house, webhook_id)
    assert "5 days" in disabled["disabled_reason"]
    assert disabled["disabled_at"] is not None
    await house.booked("ada", showtime_id, "A2")

    async def both() -> bool:
        await hurry(house)
        return len(await deliveries(house, webhook_id, "status=waiting")) == 2

    await until(both)
    before = len(partner.received)
    partner.answer = lambda _: web.Response(status=204)
    on = await admin(house, "PATCH", f"{PATH}/{webhook_id}", {"enabled": True})
    assert on.data["enabled"]
    assert (on.data["disabled_reason"], on.data["failing_since"]) == (None, None)
    await partner.until(before + 2)


async def test_a_receiver_that_is_gone_is_disabled_at_once(house: House, partner: Receiver) -> None:
    partner.answer = failing(410)
    webhook_id, _ = await webhook(house, partner)
    await house.booked("ada", await house.showtime(), "A1")

    async def off() -> bool:
        return not (await shown(house, webhook_id))["enabled"]

    await until(off)
    assert "410" in (await shown(house, webhook_id))["disabled_reason"]
    assert len(partner.received) == 1


async def test_what_is_given_up_lets_the_next_pass_and_is_sent_again_by_hand(
    house: House, partner: Receiver
) -> None:
    """Of one booking: the receiver takes all but one of its events."""
    partner.answer = lambda one: web.Response(status=204 if one.event["sequence"] > 1 else 400)
    webhook_id, _ = await webhook(house, partner)
    booking_id = await house.booked("ada", await house.showtime(), "A1", "A2")
    await partner.until(1)
    await house.ask("ada", "DELETE", f"bookings/{booking_id}?seats=A1")

    async def two_wait() -> bool:
        return len(await deliveries(house, webhook_id, "status=waiting")) == 3

    await until(two_wait)
    assert [one.event["sequence"] for one in partner.received] == [1] * len(partner.received)
    await house.database.execute(
        "update webhook_deliveries set first_due_at = first_due_at - $1::interval", GIVEN_UP_AFTER
    )

    async def passed() -> bool:
        await hurry(house)
        return len(await deliveries(house, webhook_id, "status=delivered")) == 2

    await until(passed)
    (given_up,) = await deliveries(house, webhook_id, "status=failed")
    assert given_up["last_status"] == 400
    retry = f"{PATH}/{webhook_id}/deliveries/{given_up['id']}/retry"
    partner.answer = lambda _: web.Response(status=204)
    count = len(partner.received)
    assert (await admin(house, "POST", retry)).data["status"] == "waiting"
    await partner.until(count + 1)
    assert partner.received[-1].event["sequence"] == 1
    first, last = partner.received[0], partner.received[-1]
    assert first.headers["webhook-id"] == last.headers["webhook-id"]
    nobody = f"{PATH}/{webhook_id}/deliveries/{UNKNOWN_ID}/retry"
    assert (await admin(house, "POST", nobody)).status == 404


async def test_a_replay_sends_what_was_and_what_never_was_sent(
    house: House, partner: Receiver
) -> None:
    showtime_id = await house.showtime()
    for seat in range(1, 4):
        await house.booked("ada", showtime_id, f"A{seat}")

    async def handed_out() -> bool:
        return bool(
            await house.database.fetchval(
                "select count(*) = 3 and max(position) = (select position from webhook_mark)"
                " from public_events"
            )
        )

    await until(handed_out)
    webhook_id, _ = await webhook(house, partner)
    replay = f"{PATH}/{webhook_id}/replay"
    nothing = await admin(house, "POST", replay, {"failed_only": True})
    assert nothing.data == {"deliveries": 0, "next_after": None}
    events = (await admin(house, "GET", "admin/events")).data
    first = events[0]["position"]
    some = await admin(house, "POST", replay, {"until": first})
    assert some.data == {"deliveries": 1, "next_after": None}
    await partner.until(1)
    rest = await admin(house, "POST", replay, {"after": first})
    assert rest.data == {"deliveries": 2, "next_after": None}
    await partner.until(3)

    async def delivered() -> bool:
        return len(await deliveries(house, webhook_id, "status=delivered")) == 3

    await until(delivered)
    assert (await admin(house, "POST", replay, {})).data["deliveries"] == 3
    await partner.until(6)
    ids = [one.headers["webhook-id"] for one in partner.received]
    assert sorted(ids[:3]) == sorted(ids[3:]) == sorted(one["id"] for one in events)
    assert (await admin(house, "POST", f"{PATH}/{UNKNOWN_ID}/replay", {})).status == 404


async def test_a_delivery_that_waits_is_not_sent_twice_by_hand(
    house: House, partner: Receiver
) -> None:
    webhook_id, _ = await webhook(house, partner)
    await admin(house, "PATCH", f"{PATH}/{webhook_id}", {"enabled": False})
    await house.booked("ada", await house.showtime(), "A1")

    async def waits() -> bool:
        return bool(await deliveries(house, webhook_id))

    await until(waits)
    (one,) = await deliveries(house, webhook_id)
    retry = await admin(house, "POST", f"{PATH}/{webhook_id}/deliveries/{one['id']}/retry")
    assert retry.error == (409, "DELIVERY_WAITS")
    assert partner.received == []


async def test_a_webhook_is_changed_listed_and_deleted(house: House, partner: Receiver) -> None:
    webhook_id, _ = await webhook(house, partner, cinema_id=house.cinema_id, description="One")
    path = f"{PATH}/{webhook_id}"
    changed = await admin(house, "PATCH", path, {"types": ["booking.changed"], "cinema_id": None})
    assert (changed.data["types"], changed.data["cinema_id"]) == (["booking.changed"], None)
    assert (changed.data["description"], changed.data["url"]) == ("One", partner.url)
    assert (await admin(house, "PATCH", path, {"url": "ftp://x"})).error == (
        422,
        "WEBHOOK_URL_REFUSED",
    )
    off = await admin(house, "PATCH", path, {"enabled": False, "description": "Two"})
    assert (off.data["enabled"], off.data["disabled_reason"]) == (False, "Switched off.")
    assert (await admin(house, "GET", PATH)).data == [off.data]
    assert (await admin(house, "DELETE", path)).data == {"id": webhook_id}
    for method, body in (("GET", None), ("DELETE", None), ("PATCH", {"enabled": True})):
        assert (await admin(house, method, path, body)).status == 404
    actions = await house.database.fetch(
        "select action from audit_log where target_id = $1 order by at, id", webhook_id
    )
    assert [row["action"] for row in actions] == [
        "webhook_created",
        "webhook_changed",
        "webhook_changed",
        "webhook_deleted",
    ]


async def test_there_are_so_many_webhooks_and_no_more(house: House, partner: Receiver) -> None:
    for _ in range(WEBHOOKS_LIMIT):
        await webhook(house, partner)
    assert (await admin(house, "POST", PATH, {"url": partner.url})).error == (409, "WEBHOOK_LIMIT")


async def test_deliveries_are_listed_page_by_page(house: House, partner: Receiver) -> None:
    webhook_id, _ = await webhook(house, partner)
    showtime_id = await house.showtime()
    for seat in range(1, 6):
        await house.booked("ada", showtime_id, f"A{seat}")
    await partner.until(5)
    positions: list[int] = []
    cursor = ""
    while True:
        path = f"{PATH}/{webhook_id}/deliveries?limit=2{cursor}"
        answer = await admin(house, "GET", path)
        positions += [one["position"] for one in answer.data]
        if answer.envelope["meta"]["next_cursor"] is None:
            break
        cursor = f"&cursor={answer.envelope['meta']['next_cursor']}"
    assert positions == sorted(positions, reverse=True)
    assert len(set(positions)) == 5
