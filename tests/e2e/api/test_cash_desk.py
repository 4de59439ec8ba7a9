"""Tills: sessions, cash that moves, and business days that are closed for good."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import date, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from cinema.domain.times import from_us
from tests.e2e.api.house import UNKNOWN_ID, Answer, House, Site
from tests.e2e.api.paying import reserve, verify

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(autouse=True)
def whole_day(site: Site) -> None:
    """A business day that does not end in the middle of a test."""
    site.clocks.end_the_day_that_ends_soon()


def today(house: House) -> date:
    return house.clocks.business_day()


def eur(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "EUR"}


async def opened(house: House, person: str = "staff", till: str = "Till 1", **more: Any) -> Any:
    answer = await open_till(house, person, till, **more)
    assert answer.status == 201, answer
    return answer.data


async def open_till(
    house: House, person: str, till: str, *, opening: int = 10_000, key: str | None = None
) -> Answer:
    body = {"cinema_id": house.cinema_id, "till": till, "opening": eur(opening)}
    return await house.ask(person, "POST", "cash-sessions", body, key=key)


async def move(house: House, person: str, session: Any, kind: str, amount: int) -> Answer:
    body = {"kind": kind, "amount": eur(amount), "reason": "Change"}
    return await house.ask(person, "POST", f"cash-sessions/{session['id']}/movements", body)


async def close(
    house: House, person: str, session: Any, counted: int, key: str | None = None
) -> Answer:
    body = {"counted": eur(counted), "note": "All well"}
    return await house.ask(person, "POST", f"cash-sessions/{session['id']}/close", body, key=key)


async def close_day(
    house: House, day: date, person: str = "manager", key: str | None = None
) -> Answer:
    path = f"cinemas/{house.cinema_id}/business-days/{day}/close"
    return await house.ask(person, "POST", path, key=key)


async def test_a_till_is_opened_moved_counted_and_closed(house: House) -> None:
    session = await opened(house)
    assert (session["status"], session["expected"]) == ("open", None)
    assert session["business_date"] == today(house).isoformat()
    assert (await move(house, "staff", session, "pay_in", 500)).status == 201
    assert (await move(house, "staff", session, "pay_out", 200)).status == 201
    assert (await move(house, "staff", session, "bank_drop", 10_000)).status == 201
    path = f"cash-sessions/{session['id']}"
    moved = (await house.ask("staff", "GET", f"{path}/movements")).data
    assert [one["kind"] for one in moved] == ["pay_in", "pay_out", "bank_drop"]
    assert (await house.ask("staff", "GET", path)).data["expected"] is None
    assert (await house.ask("manager", "GET", path)).data["expected"] == eur(300)
    closed = (await close(house, "staff", session, 290)).data
    assert (closed["status"], closed["expected"], closed["variance"]) == (
        "closed",
        eur(300),
        eur(-10),
    )
    assert (await house.ask("staff", "GET", path)).data == closed
    for answer in (
        await move(house, "staff", session, "pay_in", 1),
        await close(house, "manager", session, 300),
    ):
        assert answer.error == (409, "CASH_SESSION_CLOSED")


async def test_one_session_a_person_and_one_a_till(house: House) -> None:
    session = await opened(house)
    again = await open_till(house, "staff", "Till 2")
    assert (again.error, again.details) == (
        (409, "CASH_SESSION_OPEN"),
        {"session_id": session["id"]},
    )
    other = await open_till(house, "manager", "TILL 1")
    assert (other.error, other.details) == (
        (409, "CASH_SESSION_OPEN"),
        {"session_id": session["id"]},
    )
    answers = await asyncio.gather(*(open_till(house, "manager", "Till 2") for _ in range(6)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 5


async def test_a_repeated_request_opens_and_closes_once(house: House) -> None:
    first = await opened(house, key="open-1")
    assert await opened(house, key="open-1") == first
    closed = await close(house, "staff", first, 10_000, key="close-1")
    assert (await close(house, "staff", first, 10_000, key="close-1")).data == closed.data
    other = await close(house, "staff", first, 9_000, key="close-1")
    assert other.error == (422, "IDEMPOTENCY_MISMATCH")


async def test_more_than_there_is_cannot_be_taken_out(house: House) -> None:
    session = await opened(house, opening=100)
    answers = await asyncio.gather(
        *(move(house, "staff", session, "pay_out", 40) for _ in range(5))
    )
    assert sorted(answer.status for answer in answers) == [201, 201, 409, 409, 409]
    assert {answer.error[1] for answer in answers if answer.status == 409} == {"NOT_ENOUGH_CASH"}
    assert (await move(house, "staff", session, "bank_drop", 21)).status == 409
    assert (await move(house, "staff", session, "pay_in", 0)).error == (400, "VALIDATION_ERROR")
    body = {"kind": "pay_in", "amount": {"amount": 1, "currency": "JPY"}, "reason": "x"}
    answer = await house.ask("staff", "POST", f"cash-sessions/{session['id']}/movements", body)
    assert (answer.error, answer.details["path"]) == (
        (400, "VALIDATION_ERROR"),
        "$.amount.currency",
    )


async def test_others_do_not_see_a_till(house: House) -> None:
    session = await opened(house, "manager")
    path = f"cash-sessions/{session['id']}"
    for person in ("staff", "staff elsewhere", "manager elsewhere"):
        assert (await house.ask(person, "GET", path)).error == (404, "NOT_FOUND"), person
        assert (await house.ask(person, "GET", f"{path}/movements")).status == 404
        assert (await move(house, person, session, "pay_out", 1)).status == 404
        assert (await close(house, person, session, 0)).status == 404
    for person in ("staff elsewhere", "manager elsewhere"):
        assert (await open_till(house, person, "x")).error == (403, "FORBIDDEN")
        listed = await house.ask(person, "GET", f"cash-sessions?cinema_id={house.cinema_id}")
        assert listed.error == (403, "FORBIDDEN")
        assert (await close_day(house, today(house), person)).status == 403
    assert (await house.ask("ada", "GET", path)).error == (403, "FORBIDDEN")
    assert (await house.ask("admin", "GET", f"cash-sessions/{UNKNOWN_ID}")).status == 404
    nowhere = {"cinema_id": UNKNOWN_ID, "till": "x", "opening": eur(1)}
    answer = await house.ask("admin", "POST", "cash-sessions", nowhere)
    assert answer.error == (422, "UNKNOWN_REFERENCE")


async def test_lists_go_back_in_time(house: House) -> None:
    sessions = []
    for number in range(3):
        session = await opened(house, "staff" if number else "manager")
        sessions.append((await close(house, "manager", session, 10_000)).data)
    query = f"cash-sessions?cinema_id={house.cinema_id}"
    first = await house.ask("manager", "GET", f"{query}&limit=2")
    assert first.data == sessions[:0:-1]
    cursor = first.envelope["meta"]["next_cursor"]
    last = await house.ask("manager", "GET", f"{query}&limit=2&cursor={cursor}")
    assert (last.data, last.envelope["meta"]["next_cursor"]) == (sessions[:1], None)
    assert (await house.ask("staff", "GET", query)).data == sessions[:0:-1]
    assert (await house.ask("manager", "GET", f"{query}&status=open")).data == []
    on = f"{query}&business_date={today(house)}&status=closed"
    assert len((await house.ask("manager", "GET", on)).data) == 3
    assert (await house.ask("manager", "GET", f"{query}&business_date=2020-01-01")).data == []


async def test_a_day_is_closed_once_with_a_numbered_report(house: House) -> None:
    session = await opened(house)
    waiting = await close_day(house, today(house))
    assert waiting.error == (409, "CASH_SESSION_OPEN")
    assert waiting.details["sessions"] == [{"id": session["id"], "till": "Till 1"}]
    await move(house, "staff", session, "pay_in", 40)
    await close(house, "staff", session, 10_050)
    day = (await close_day(house, today(house), key="day")).data
    assert (await close_day(house, today(house), key="day")).data == day
    report = day["report"]
    assert (report["number"], report["previous"]) == (1, "")
    assert (report["expected"], report["counted"], report["variance"]) == (10_040, 10_050, 10)
    assert [one["session_id"] for one in report["sessions"]] == [session["id"]]
    text = await house.database.fetchval(
        "select report from business_days where cinema_id = $1", house.cinema_id
    )
    assert day["digest"] == hashlib.sha256(text.encode()).hexdigest()
    assert msgspec.json.decode(text) == report
    assert (await close_day(house, today(house))).error == (
        409,
        "BUSINESS_DAY_CLOSED",
    )
    path = f"cinemas/{house.cinema_id}/business-days"
    assert (await house.ask("manager", "GET", f"{path}/{today(house)}")).data == day
    # Whoever works on does so for tomorrow, which cannot be closed today.
    late = await opened(house)
    assert late["business_date"] == (today(house) + timedelta(days=1)).isoformat()
    await close(house, "staff", late, 10_000)
    ahead = await close_day(house, today(house) + timedelta(days=1))
    assert (ahead.error, ahead.details) == (
        (422, "IN_THE_FUTURE"),
        {"today": today(house).isoformat()},
    )


async def test_days_are_closed_in_order_and_their_reports_hang_together(house: House) -> None:
    for days_ago in (3, 2):
        session = await opened(house)
        await close(house, "staff", session, 10_000)
        # As if it had been opened on that day: a closed session cannot be changed any more.
        await house.database.execute("set session_replication_role = replica")
        await house.database.execute(
            "update cash_sessions set business_date = $2 where id = $1",
            session["id"],
            today(house) - timedelta(days=days_ago),
        )
        await house.database.execute("set session_replication_role = origin")
    early = await close_day(house, today(house) - timedelta(days=2))
    assert (early.error, early.details["business_date"]) == (
        (409, "EARLIER_DAY_OPEN"),
        (today(house) - timedelta(days=3)).isoformat(),
    )
    first = (await close_day(house, today(house) - timedelta(days=3))).data
    second = (await close_day(house, today(house) - timedelta(days=2))).data
    assert [one["report"]["number"] for one in (first, second)] == [1, 2]
    assert second["report"]["previous"] == first["digest"]
    behind = await close_day(house, today(house) - timedelta(days=4))
    assert behind.error == (409, "BUSINESS_DAY_CLOSED")
    path = f"cinemas/{house.cinema_id}/business-days"
    page = await house.ask("manager", "GET", f"{path}?limit=1")
    assert page.data == [second]
    cursor = page.envelope["meta"]["next_cursor"]
    rest = await house.ask("manager", "GET", f"{path}?limit=1&cursor={cursor}")
    assert (rest.data, rest.envelope["meta"]["next_cursor"]) == ([first], None)


async def test_many_who_close_a_day_make_one_report(house: House) -> None:
    answers = await asyncio.gather(*(close_day(house, today(house)) for _ in range(6)))
    assert sorted(answer.status for answer in answers) == [200] + [409] * 5
    numbers = await house.database.fetch(
        "select number from business_days where cinema_id = $1", house.cinema_id
    )
    assert [row["number"] for row in numbers] == [1]


@pytest.mark.parametrize("day", ["2026-02-30", "20260605", "today", "2026-W01-1"])
async def test_what_is_no_date_is_not_found(house: House, day: str) -> None:
    path = f"cinemas/{house.cinema_id}/business-days/{day}"
    assert (await house.ask("manager", "GET", path)).error == (404, "NOT_FOUND")
    assert (await house.ask("manager", "POST", f"{path}/close")).error == (404, "NOT_FOUND")


async def test_an_unknown_cinema_has_no_days(house: House) -> None:
    path = f"cinemas/{UNKNOWN_ID}/business-days/2026-06-05"
    assert (await house.ask("admin", "POST", f"{path}/close")).error == (404, "NOT_FOUND")
    assert (await house.ask("admin", "GET", path)).error == (404, "NOT_FOUND")


async def test_what_is_closed_is_never_changed(house: House) -> None:
    session = await opened(house)
    await move(house, "staff", session, "pay_in", 1)
    await close(house, "staff", session, 10_001)
    await close_day(house, today(house))
    for statement in (
        "update cash_sessions set counted_minor = 0 where cinema_id = $1",
        "delete from cash_sessions where cinema_id = $1",
        "update cash_movements set amount_minor = 2 where $1::uuid is not null",
        "update business_days set number = 7 where cinema_id = $1",
        "delete from business_days where cinema_id = $1",
    ):
        with pytest.raises(asyncpg.RaiseError):
            await house.database.execute(statement, house.cinema_id)


async def test_what_is_done_at_a_till_is_in_the_audit_log(house: House) -> None:
    session = await opened(house)
    await move(house, "staff", session, "pay_in", 1)
    await close(house, "staff", session, 10_001)
    await close_day(house, today(house))
    rows = await house.database.fetch(
        "select action, after::text from audit_log where target_id = any($1) order by at, id",
        [session["id"], house.cinema_id],
    )
    actions = [row["action"] for row in rows if "cash" in row["action"] or "day" in row["action"]]
    assert actions == [
        "cash_session_opened",
        "cash_moved",
        "cash_session_closed",
        "business_day_closed",
    ]
    assert not any("All well" in row["after"] for row in rows)


# --- sales


async def sell(house: House, seat: str, key: str | None = None, **payment: Any) -> Answer:
    """A sale of `staff` at the counter."""
    showtime_id = await house.showtime()
    hold_id = await house.held("staff", showtime_id, seat)
    body = {"showtime_id": showtime_id, "hold_id": hold_id, "payment": payment}
    return await house.ask("staff", "POST", "bookings", body, key=key)


async def accounts(house: House, booking_id: str) -> list[str]:
    rows = await house.database.fetch(
        "select account from ledger_lines where booking_id = $1 and kind = 'payment'"
        " and amount > 0",
        booking_id,
    )
    return [row["account"] for row in rows]


async def test_sales_go_into_the_open_session(house: House) -> None:
    refused = await sell(house, "A1", method="counter")
    assert refused.error == (409, "CASH_SESSION_REQUIRED")
    session = await opened(house)
    in_cash = await sell(house, "A1", method="counter")
    by_card = await sell(house, "B1", method="counter", tender="terminal", reference="T-4711")
    assert [one.status for one in (in_cash, by_card)] == [201, 201]
    assert await accounts(house, in_cash.data["id"]) == ["cash"]
    assert await accounts(house, by_card.data["id"]) == ["terminal"]
    closed = (await close(house, "staff", session, 11_000)).data
    assert (closed["expected"], closed["variance"]) == (eur(11_000), eur(0))
    report = (await close_day(house, today(house))).data["report"]
    assert report["tenders"] == report["sessions"][0]["tenders"]
    assert report["tenders"] == [
        {"tender": "cash", "payments": 1, "taken": 1000, "refunds": 0, "refunded": 0},
        {"tender": "terminal", "payments": 1, "taken": 1250, "refunds": 0, "refunded": 0},
    ]
    assert (await sell(house, "A2", method="counter")).error == (409, "CASH_SESSION_REQUIRED")


async def test_what_was_reserved_is_paid_into_the_open_session(house: House) -> None:
    await verify(house, "ada")
    booking = await reserve(house, "ada", await house.showtime(), "A1")
    body = {"booking_id": booking["id"], "method": "counter", "tender": "terminal"}
    refused = await house.ask("staff", "POST", "payments/process", body)
    assert refused.error == (409, "CASH_SESSION_REQUIRED")
    session = await opened(house)
    assert (await house.ask("staff", "POST", "payments/process", body)).status == 200
    assert await accounts(house, booking["id"]) == ["terminal"]
    # Told again, with another tender: what was taken first counts.
    again = await house.ask("staff", "POST", "payments/process", body | {"tender": "cash"})
    assert again.data["status"] == "confirmed"
    assert (await close(house, "staff", session, 10_000)).data["variance"] == eur(0)


async def test_a_repeated_sale_is_in_the_drawer_once(house: House) -> None:
    session = await opened(house)
    showtime_id = await house.showtime()
    hold_id = await house.held("staff", showtime_id, "A1")
    body = {
        "showtime_id": showtime_id,
        "hold_id": hold_id,
        "payment": {"method": "counter"},
    }
    answers = [await house.ask("staff", "POST", "bookings", body, key="sale") for _ in range(3)]
    assert [one.data for one in answers] == [answers[0].data] * 3
    closed = (await close(house, "staff", session, 11_000)).data
    assert closed["variance"] == eur(0)
    # Also once nobody has a till open.
    assert (await house.ask("staff", "POST", "bookings", body, key="sale")).data == answers[0].data


async def test_a_sale_that_is_refused_is_in_no_drawer(house: House) -> None:
    session = await opened(house)
    showtime_id = await house.showtime()
    hold_id = await house.held("staff", showtime_id, "A1")
    await house.ask("staff", "DELETE", f"showtimes/{showtime_id}/holds/{hold_id}")
    refused = await house.book("staff", showtime_id, hold_id, method="counter")
    assert refused.error == (409, "HOLD_ENDED")
    assert (await close(house, "staff", session, 10_000)).data["variance"] == eur(0)


async def test_a_till_is_not_closed_while_a_sale_is_being_decided(house: House) -> None:
    session = await opened(house)
    payment = "insert into cash_takings values (gen_random_uuid(), $1, 'cash', '', $2)"
    now = from_us(house.node.kernel.clock.now_us())
    await house.database.execute(payment, session["id"], now)
    assert (await close(house, "staff", session, 10_000)).error == (503, "RETRY")
    # A crash between two lines is over after the longest time that a sale can take.
    await house.database.execute(
        "update cash_takings set taken_at = now() - interval '20 minutes' where session_id = $1",
        session["id"],
    )
    assert (await close(house, "staff", session, 10_000)).data["variance"] == eur(0)


async def test_only_money_at_the_counter_has_a_till(house: House) -> None:
    for extra, path in (
        ({"tender": "cash"}, "$.payment.tender"),
        ({"reference": "x"}, "$.payment.reference"),
    ):
        answer = await sell(house, "A1", method="demo", **extra)
        assert (answer.error, answer.details["path"]) == ((400, "VALIDATION_ERROR"), path)


# --- refunds


async def sold(house: House, *seats: str, **payment: Any) -> Any:
    showtime_id = await house.showtime()
    hold_id = await house.held("staff", showtime_id, *seats)
    body = {
        "showtime_id": showtime_id,
        "hold_id": hold_id,
        "payment": {"method": "counter", **payment},
    }
    answer = await house.ask("staff", "POST", "bookings", body)
    assert answer.status == 201, answer
    return answer.data


async def waiting(house: House, booking_id: str) -> Any:
    """The refund of a booking that waits at the counter."""
    listed = await house.ask("manager", "GET", "payments/refunds?status=at_counter&limit=100")
    (refund,) = [one for one in listed.data if one["booking_id"] == booking_id]
    return refund


async def pay_out(house: House, refund: Any, person: str = "staff", **how: Any) -> Answer:
    path = f"payments/refunds/{refund['id']}/pay-out"
    return await house.ask(person, "POST", path, how)


async def test_cash_goes_back_out_of_an_open_drawer(house: House) -> None:
    session = await opened(house, opening=0)
    booking = await sold(house, "A1", "A2")
    cancelled = (await house.ask("staff", "DELETE", f"bookings/{booking['id']}?seats=A1")).data
    assert cancelled["payment"]["refund_pending"] == eur(1000)
    refund = await waiting(house, booking["id"])
    assert refund["amount"] == eur(1000)
    for person, error in (
        ("staff elsewhere", (404, "NOT_FOUND")),
        ("ada", (403, "FORBIDDEN")),
        ("manager", (409, "CASH_SESSION_REQUIRED")),
    ):
        assert (await pay_out(house, refund, person)).error == error, person
    answers = await asyncio.gather(*(pay_out(house, refund) for _ in range(4)))
    assert sorted(one.status for one in answers) == [200, 409, 409, 409]
    assert {one.error[1] for one in answers if one.status == 409} == {"REFUND_NOT_AT_COUNTER"}
    after = (await house.ask("staff", "GET", f"bookings/{booking['id']}")).data
    assert "refund_pending" not in after["payment"]
    lines = await house.database.fetch(
        "select account, amount from ledger_lines where booking_id = $1 and kind = 'refund'",
        booking["id"],
    )
    assert {tuple(one) for one in lines} == {("customer", 1000), ("cash", -1000)}
    closed = (await close(house, "staff", session, 1000)).data
    assert closed["variance"] == eur(0)
    report = (await close_day(house, today(house))).data["report"]
    assert report["tenders"] == [
        {"tender": "cash", "payments": 1, "taken": 2000, "refunds": 1, "refunded": 1000}
    ]


async def test_what_was_paid_by_card_goes_back_to_the_card(house: House) -> None:
    session = await opened(house, opening=0)
    booking = await sold(house, "A1", tender="terminal")
    await house.ask("staff", "DELETE", f"bookings/{booking['id']}")
    refund = await waiting(house, booking["id"])
    assert (await pay_out(house, refund)).error == (409, "NOT_ENOUGH_CASH")
    paid = await pay_out(house, refund, tender="terminal", reference="R-1")
    assert (paid.status, paid.data["status"]) == (200, "succeeded")
    rows = await house.database.fetch(
        "select account, amount from ledger_lines where booking_id = $1 and kind = 'refund'",
        booking["id"],
    )
    assert {tuple(one) for one in rows} == {("customer", 1000), ("terminal", -1000)}
    assert (await close(house, "staff", session, 0)).data["variance"] == eur(0)


async def test_money_that_is_to_be_given_out_waits_for_somebody_to_do_it(house: House) -> None:
    session = await opened(house, opening=0)
    booking = await sold(house, "A1")
    await close(house, "staff", session, 1000)
    await house.ask("staff", "DELETE", f"bookings/{booking['id']}")
    refund = await waiting(house, booking["id"])
    assert (await pay_out(house, refund)).error == (409, "CASH_SESSION_REQUIRED")
    await opened(house, opening=1000)
    assert (await pay_out(house, refund)).status == 200
    unknown = await pay_out(house, {"id": UNKNOWN_ID})
    assert unknown.error == (404, "NOT_FOUND")


async def test_a_till_takes_and_gives_no_other_currency_than_its_own(house: House) -> None:
    session = await opened(house)
    booking = await sold(house, "A1")
    await house.ask("staff", "DELETE", f"bookings/{booking['id']}")
    refund = await waiting(house, booking["id"])
    # No showtime lay ahead, and the currency was changed while the till was open.
    showtime_id = await house.showtime()
    hold_id = await house.held("staff", showtime_id, "A1")
    change = "update cinemas set currency = $2 where id = $1"
    await house.database.execute(change, house.cinema_id, "KWD")
    refused = await house.book("staff", showtime_id, hold_id, method="counter")
    assert refused.error == (409, "CASH_SESSION_REQUIRED")
    assert (await pay_out(house, refund)).status == 200
    await house.database.execute(change, house.cinema_id, "EUR")
    assert (await close(house, "staff", session, 10_000)).data["variance"] == eur(0)


async def test_a_refund_in_another_currency_is_not_handed_out_of_a_till(house: House) -> None:
    await opened(house)
    booking = await sold(house, "A1")
    await house.ask("staff", "DELETE", f"bookings/{booking['id']}")
    refund = await waiting(house, booking["id"])
    change = "update refunds set currency = 'KWD' where id = $1"
    await house.database.execute(change, refund["id"])
    for tender in ("cash", "terminal"):
        answer = await pay_out(house, refund, tender=tender)
        assert answer.error == (409, "CASH_SESSION_REQUIRED")
