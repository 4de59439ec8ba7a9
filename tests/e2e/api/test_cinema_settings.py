"""How a cinema is run, over HTTP: what its managers set, and what is the chain's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.api.house import BASE_PRICE, UNKNOWN_ID, Answer, House

pytestmark = pytest.mark.asyncio(loop_scope="module")

USUAL = {
    "opening_hours": None,
    "opening_exceptions": [],
    "ads_minutes": 20,
    "cleaning_minutes": 15,
    "ticket_early_minutes": 30,
    "ticket_grace_minutes": 15,
    "business_day_starts_at": "06:00",
    "rating_system": None,
    "legal_name": "",
    "legal_address": "",
    "tax_number": "",
    "tax_rates": {},
    "invoice_prefix": "",
    "refund_policy": [{"hours_before": 2, "percent": 100, "fees": False}],
    "points_percent": 0,
    "points_valid_months": 24,
    "series_discount_percent": 0,
}
OF_THE_CHAIN: dict[str, Any] = {
    "rating_system": "FSK",
    "legal_name": "House Lichtspiele GmbH",
    "legal_address": "Hauptstraße 1, 10115 Berlin",
    "tax_number": "DE123456789",
    "tax_rates": {"standard": 1900},
    "invoice_prefix": "HOU-",
    "refund_policy": [
        {"hours_before": 24, "percent": 100, "fees": True},
        {"hours_before": 1, "percent": 50, "fees": False},
    ],
    "points_percent": 5,
    "points_valid_months": 36,
    "series_discount_percent": 10,
}


async def seen(house: House, person: str | None = "manager") -> Answer:
    return await house.ask(person, "GET", f"cinemas/{house.cinema_id}/settings")


async def change(
    house: House, *, person: str | None = "manager", tag: str | None = None, **changes: Any
) -> Answer:
    """An attempt to change some settings, made from what they are now."""
    before = (await seen(house)).data
    headers = {"If-Match": f'"{before["version"]}"' if tag is None else tag}
    body = before["settings"] | changes
    return await house.ask(
        person,
        "PUT",
        f"cinemas/{house.cinema_id}/settings",
        body,
        headers=headers if tag != "" else {},
    )


async def test_a_new_cinema_has_the_usual_settings(house: House) -> None:
    answer = await seen(house)
    assert answer.data == {"id": house.cinema_id, "version": 1, "settings": USUAL}
    assert answer.headers["ETag"] == '"1"'


async def test_managers_set_hours_and_minutes(house: House) -> None:
    hours = {"opens": "10:30", "closes": "01:00"}
    week = dict.fromkeys(
        ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"), hours
    )
    wanted = {
        "opening_hours": {**week, "monday": None},
        "opening_exceptions": [
            {"date": "2026-12-24", "hours": None},
            {"date": "2026-12-31", "hours": {"opens": "12:00", "closes": "18:00"}},
        ],
        "ads_minutes": 10,
        "cleaning_minutes": 30,
        "ticket_early_minutes": 60,
        "ticket_grace_minutes": 0,
        "business_day_starts_at": "05:00",
    }
    answer = await change(house, **wanted)
    assert answer.data == {"id": house.cinema_id, "version": 2, "settings": USUAL | wanted}
    assert answer.headers["ETag"] == '"2"'
    assert (await seen(house, "admin")).data == answer.data
    cinema = (await house.ask(None, "GET", f"cinemas/{house.cinema_id}")).data
    assert cinema["version"] == 2


@pytest.mark.parametrize("field", sorted(OF_THE_CHAIN))
async def test_what_is_the_chains_is_changed_by_admins_only(house: House, field: str) -> None:
    wanted = {field: OF_THE_CHAIN[field]}
    refused = await change(house, **wanted)
    assert refused.error == (403, "FORBIDDEN")
    assert refused.details == {"fields": [field]}
    assert (await change(house, person="admin", **wanted)).data["settings"] == USUAL | wanted
    # A manager leaves it as it is.
    assert (await change(house, ads_minutes=1)).status == 200
    assert (await seen(house)).data["settings"] == USUAL | wanted | {"ads_minutes": 1}


async def test_who_may_look_and_change(house: House) -> None:
    for person, error in (
        (None, (401, "UNAUTHENTICATED")),
        ("ada", (403, "FORBIDDEN")),
        ("staff", (403, "FORBIDDEN")),
        ("manager elsewhere", (403, "FORBIDDEN")),
    ):
        assert (await seen(house, person)).error == error
        assert (await change(house, person=person)).error == error
    path = f"cinemas/{UNKNOWN_ID}/settings"
    assert (await house.ask("admin", "GET", path)).error == (404, "NOT_FOUND")
    unknown = await house.ask("admin", "PUT", path, {}, headers={"If-Match": '"1"'})
    assert unknown.error == (404, "NOT_FOUND")
    assert (await change(house, tag="")).error == (428, "PRECONDITION_REQUIRED")
    assert (await change(house, tag='"9"')).error == (412, "PRECONDITION_FAILED")


@pytest.mark.parametrize(
    "wrong",
    [
        {"ads_minutes": -1},
        {"cleaning_minutes": 241},
        {"business_day_starts_at": "24:00"},
        {"business_day_starts_at": "6:00"},
        {"opening_hours": {"someday": None}},
        {"opening_hours": {"monday": {"opens": "10:00"}}},
        {"opening_exceptions": [{"date": "2026-12-24"}, {"date": "2026-12-24"}]},
        {"tax_rates": {"standard": 10_001}},
        {"invoice_prefix": "abc"},
        {"rating_system": ""},
        {"refund_policy": [{"hours_before": 1, "percent": 9}, {"hours_before": 1, "percent": 9}]},
        {"refund_policy": [{"hours_before": 9, "percent": 9}, {"hours_before": 1, "percent": 10}]},
    ],
    ids=str,
)
async def test_impossible_settings_are_refused(house: House, wrong: dict[str, Any]) -> None:
    assert (await change(house, person="admin", **wrong)).error == (400, "VALIDATION_ERROR")
    assert (await seen(house)).data["settings"] == USUAL


async def test_showtimes_last_as_long_as_their_cinema_says(house: House) -> None:
    before = await house.showtime()
    assert (await change(house, ads_minutes=0, cleaning_minutes=60)).status == 200
    starts_at = datetime.now(UTC) + timedelta(days=40)
    body = {
        "movie_id": house.movie_id,
        "screen_id": house.screen_id,
        "starts_at": starts_at.isoformat(),
        "base_price": BASE_PRICE,
        "language": "en",
    }
    made = (await house.ask("manager", "POST", "showtimes", body)).data
    assert datetime.fromisoformat(made["ends_at"]) == starts_at + timedelta(minutes=90)
    occupied = {**body, "starts_at": (starts_at + timedelta(minutes=149)).isoformat()}
    refused = await house.ask("manager", "POST", "showtimes", occupied)
    assert refused.error == (409, "SCREEN_OCCUPIED")
    free = {**body, "starts_at": (starts_at + timedelta(minutes=150)).isoformat()}
    assert (await house.ask("manager", "POST", "showtimes", free)).status == 201
    # What was there keeps its time until it is changed.
    shown = (await house.ask(None, "GET", f"showtimes/{before}")).data
    lasts = [datetime.fromisoformat(shown[name]) for name in ("starts_at", "ends_at")]
    assert lasts[1] - lasts[0] == timedelta(minutes=110)
    names = ("movie_id", "screen_id", "starts_at", "base_price", "language")
    same = {name: shown[name] for name in names}
    tag = {"If-Match": '"1"'}
    changed = await house.ask("manager", "PUT", f"showtimes/{before}", same, headers=tag)
    lasts = [datetime.fromisoformat(changed.data[name]) for name in ("starts_at", "ends_at")]
    assert lasts[1] - lasts[0] == timedelta(minutes=90)
