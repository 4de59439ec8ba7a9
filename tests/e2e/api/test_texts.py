"""Names and texts that clients send: composed, and without what nobody can see."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.api.house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")

HIDDEN = {
    "control": "\x07",
    "line break": "\n",
    "escape": "\x1b",
    "override": "\u202e",
    "isolate": "\u2066",
    "zero width": "\u200b",
    "joiner": "\u200d",
    "byte order": "\ufeff",
    "soft hyphen": "\u00ad",
}


def places(house: House, text: str) -> dict[str, tuple[str | None, str, str, Any]]:
    """Each field that takes a name or a text: who sends what where, by the field's path."""
    movie = {"title": "Film", "runtime_minutes": 90}
    cinema = {
        "name": "House",
        "city": "Berlin",
        "country": "DE",
        "time_zone": "Europe/Berlin",
        "currency": "EUR",
    }
    screen = {"cinema_id": house.cinema_id, "name": "One", "grid": {"rows": 1, "columns": 1}}
    seats = [{"number": 1, "category": text}]
    showtime = {
        "movie_id": house.movie_id,
        "screen_id": house.screen_id,
        "starts_at": "2026-01-01T00:00:00Z",
        "base_price": {"amount": 1, "currency": "EUR"},
        "language": "en",
    }
    account = {"email": "new@example.com", "password": "long enough to be taken 7"}
    return {
        "$.title": ("admin", "POST", "movies", movie | {"title": text}),
        "$.description": ("admin", "POST", "movies", movie | {"description": text}),
        "$.genres[0]": ("admin", "POST", "movies", movie | {"genres": [text]}),
        "$.age_rating": ("admin", "POST", "movies", movie | {"age_rating": text}),
        "$.name": ("admin", "POST", "cinemas", cinema | {"name": text}),
        "$.address": ("admin", "POST", "cinemas", cinema | {"address": text}),
        "$.city": ("admin", "POST", "cinemas", cinema | {"city": text}),
        "$.name of a screen": ("manager", "POST", "screens", screen | {"name": text}),
        "$.layout.rows[0].seats[0].category": (
            "manager",
            "POST",
            "screens",
            {
                "cinema_id": house.cinema_id,
                "name": "Two",
                "layout": {"rows": [{"label": "A", "seats": seats}]},
            },
        ),
        "$.format": ("manager", "POST", "showtimes", showtime | {"format": text}),
        "$.price_overrides": (
            "manager",
            "POST",
            "showtimes",
            showtime | {"price_overrides": {text: 1}},
        ),
        "$.first_name": (None, "POST", "auth/register", account | {"first_name": text}),
        "$.last_name": (None, "POST", "auth/register", account | {"last_name": text}),
    }


@pytest.mark.parametrize("kind", HIDDEN)
async def test_what_cannot_be_seen_is_refused_in_every_name(house: House, kind: str) -> None:
    for path, (person, method, where, body) in places(house, f"a{HIDDEN[kind]}b").items():
        if path == "$.description" and kind not in {"control", "escape", "override", "isolate"}:
            continue
        answer = await house.ask(person, method, where, body)
        assert answer.error == (400, "VALIDATION_ERROR"), path
        # A pattern of the field may have been first; the path is the field's either way.
        assert answer.details["path"] == path.partition(" of ")[0], path


async def test_label_of_a_row_ends_with_no_line_break(house: House) -> None:
    layout = {"rows": [{"label": "A\n", "seats": [{"number": 1, "category": "regular"}]}]}
    body = {"cinema_id": house.cinema_id, "name": "Three", "layout": layout}
    answer = await house.ask("manager", "POST", "screens", body)
    assert answer.error == (400, "VALIDATION_ERROR")
    assert answer.details["path"] == "$.layout.rows[0].label"


async def test_names_are_stored_composed_and_found(house: House) -> None:
    body = {"title": "Zu\u0308rich, Łódź", "runtime_minutes": 90, "description": "One.\n\nTwo."}
    movie = (await house.ask("admin", "POST", "movies", body)).data
    assert (movie["title"], movie["description"]) == ("Zürich, Łódź", "One.\n\nTwo.")
    found = (await house.ask(None, "GET", "movies?q=zurich,%20lodz")).data
    assert [one["id"] for one in found] == [movie["id"]]
