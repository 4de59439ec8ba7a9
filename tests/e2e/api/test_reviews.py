"""Reviews over HTTP: who may write them, what is seen of them, and moderation."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.e2e.api.doors import open_doors, scan, sold, tickets_of
from tests.e2e.api.house import UNKNOWN_ID, Answer, House, open_house

pytestmark = pytest.mark.asyncio(loop_scope="module")

GREAT = {"rating": 5, "text": "Great."}
RUDE = {"rating": 1, "text": "What a SHIT film"}


async def seen(house: House, *people: str) -> None:
    """Let people have been let in to the film."""
    showtime_id = await open_doors(house)
    for person, seat in zip(people, ("A1", "A2", "A3", "A4", "A5"), strict=False):
        (ticket,) = await sold(house, showtime_id, seat, person=person)
        assert (await scan(house, ticket["token"])).status == 200


async def write(
    house: House, person: str, body: dict[str, Any] = GREAT, key: str | None = None
) -> Answer:
    return await house.ask(person, "POST", f"movies/{house.movie_id}/reviews", body, key=key)


async def written(house: House, person: str, body: dict[str, Any] = GREAT) -> dict[str, Any]:
    answer = await write(house, person, body)
    assert answer.status == 201, answer
    return dict(answer.data)


async def shown(house: House) -> list[str]:
    """The published reviews of the film."""
    listed = await house.ask(None, "GET", f"movies/{house.movie_id}/reviews")
    return [one["id"] for one in listed.data]


async def rating(house: House) -> tuple[float | None, int]:
    found = (await house.ask(None, "GET", f"movies/{house.movie_id}")).data["rating"]
    return found["average"], found["count"]


async def test_who_was_let_in_reviews_a_film_once(house: House) -> None:
    showtime_id = await open_doors(house)
    (ticket,) = await sold(house, showtime_id, "A1")
    assert (await write(house, "ada")).error == (409, "REVIEW_NOT_ALLOWED")
    assert (await scan(house, ticket["token"])).status == 200
    assert (await write(house, "bob")).error == (409, "REVIEW_NOT_ALLOWED")
    await house.database.execute(
        "update users set first_name = 'Ada', last_name = 'Lovelace' where id = $1",
        house.people["ada"],
    )
    first = await write(house, "ada", key="review")
    assert (first.status, first.data["status"]) == (201, "published")
    assert (await write(house, "ada", key="review")).data == first.data
    again = await write(house, "ada")
    assert again.error == (409, "ALREADY_REVIEWED")
    assert again.details == {"review_id": first.data["id"]}
    (one,) = (await house.ask(None, "GET", f"movies/{house.movie_id}/reviews")).data
    assert (one["author"], one["rating"], one["text"]) == ("Ada", 5, "Great.")
    assert set(one) == {*("id", "movie_id", "author", "rating", "text", "created_at", "updated_at")}
    assert (await house.ask(None, "GET", f"movies/{UNKNOWN_ID}/reviews")).status == 404


async def test_a_rating_changes_what_a_film_shows_but_not_its_version(house: House) -> None:
    await seen(house, "ada", "bob")
    path = f"movies/{house.movie_id}"
    before = await house.ask(None, "GET", path)
    assert before.data["rating"] == {"average": None, "count": 0}
    review = await written(house, "ada")
    assert await rating(house) == (3.75, 1)
    tag = before.headers["ETag"]
    after = await house.ask(None, "GET", path, headers={"If-None-Match": tag})
    assert (after.status, after.data["version"]) == (200, before.data["version"])
    assert after.headers["ETag"] != tag
    await written(house, "bob", {"rating": 1})
    assert await rating(house) == (3.36, 2)
    changed = await house.ask("ada", "PATCH", f"reviews/{review['id']}", {"rating": 3})
    assert (changed.data["rating"], changed.data["text"]) == (3, "Great.")
    assert await rating(house) == (3.07, 2)
    listed = (await house.ask(None, "GET", "movies?limit=100")).data
    (found,) = [one for one in listed if one["id"] == house.movie_id]
    assert found["rating"] == {"average": 3.07, "count": 2}
    film = {"title": "Film", "runtime_minutes": 91}
    headers = {"If-Match": after.headers["ETag"]}
    assert (await house.ask("admin", "PUT", path, film, headers=headers)).status == 200
    assert (await house.ask("admin", "PUT", path, film, headers=headers)).status == 412


async def test_reviews_come_in_pages_the_newest_first(house: House) -> None:
    await seen(house, "ada", "bob", "staff")
    ids = [(await written(house, person))["id"] for person in ("ada", "bob", "staff")]
    assert await shown(house) == ids[::-1]
    path = f"movies/{house.movie_id}/reviews?limit=2"
    first = (await house.ask(None, "GET", path)).envelope
    rest = (await house.ask(None, "GET", f"{path}&cursor={first['meta']['next_cursor']}")).envelope
    assert [one["id"] for one in first["data"] + rest["data"]] == ids[::-1]
    assert rest["meta"]["next_cursor"] is None


async def test_a_word_of_the_list_waits_for_a_moderator(house: House) -> None:
    await seen(house, "ada")
    review = await written(house, "ada", RUDE)
    assert review["status"] == "pending"
    assert (await shown(house), await rating(house)) == ([], (None, 0))
    waiting = (await house.ask("admin", "GET", "admin/reviews?limit=100")).data
    (found,) = [one for one in waiting if one["id"] == review["id"]]
    assert (found["user_id"], found["reports"]) == (house.people["ada"], 0)
    path = f"admin/reviews/{review['id']}"
    decided = await house.ask("admin", "PATCH", path, {"status": "published"})
    assert (decided.data["status"], decided.data["decided_by"]) == (
        "published",
        house.people["admin"],
    )
    assert (await shown(house), await rating(house)) == ([review["id"]], (3.08, 1))
    no = {"status": "rejected", "reason": "Rude."}
    assert (await house.ask("admin", "PATCH", path, no)).data["status"] == "rejected"
    assert (await shown(house), await rating(house)) == ([], (None, 0))
    (own,) = (await house.ask("ada", "GET", "reviews")).data
    assert (own["status"], own["reason"]) == ("rejected", "Rude.")
    audit = await house.ask("admin", "GET", f"admin/audit?target={review['id']}")
    assert [(one["action"], one["before"], one["after"]) for one in audit.data] == [
        ("review_rejected", {"status": "published"}, {"status": "rejected"}),
        ("review_published", {"status": "pending"}, {"status": "published"}),
    ]
    assert "Rude." not in str(audit.data)
    better = await house.ask("ada", "PATCH", f"reviews/{review['id']}", {"text": "Not for me."})
    assert (better.data["status"], better.data["reason"]) == ("pending", "")
    for wrong in ({"status": "rejected"}, {"status": "published", "reason": "Fine."}):
        assert (await house.ask("admin", "PATCH", path, wrong)).error == (400, "VALIDATION_ERROR")
    unknown = f"admin/reviews/{UNKNOWN_ID}"
    assert (await house.ask("admin", "PATCH", unknown, no)).error == (404, "NOT_FOUND")


async def test_what_three_people_report_waits_until_a_moderator_has_looked(house: House) -> None:
    await seen(house, "ada")
    review = await written(house, "ada")
    path, why = f"reviews/{review['id']}/report", {"reason": "spoiler"}
    assert (await house.ask("ada", "POST", path, why)).error == (403, "FORBIDDEN")
    for person in ("bob", "bob", "staff"):
        answer = await house.ask(person, "POST", path, why)
        assert answer.data == {"id": review["id"], "reported": True}
    assert await shown(house) == [review["id"]]
    await house.ask("manager", "POST", path, {"reason": "spam"})
    assert (await shown(house), await rating(house)) == ([], (None, 0))
    assert (await house.ask("admin", "POST", path, why)).error == (404, "NOT_FOUND")
    waiting = (await house.ask("admin", "GET", "admin/reviews?limit=100")).data
    (found,) = [one for one in waiting if one["id"] == review["id"]]
    assert (found["reports"], found["reported_for"]) == (3, ["spam", "spoiler"])
    decision = await house.ask(
        "admin", "PATCH", f"admin/reviews/{review['id']}", {"status": "published"}
    )
    assert (decision.data["reports"], decision.data["reported_for"]) == (0, [])
    # They have been heard: only others count from here on.
    for person in ("bob", "staff", "manager", "admin"):
        assert (await house.ask(person, "POST", path, why)).status == 200
    assert await shown(house) == [review["id"]]


async def test_a_review_that_is_deleted_is_gone_and_may_be_written_anew(house: House) -> None:
    await seen(house, "ada")
    review = await written(house, "ada")
    path = f"reviews/{review['id']}"
    for method, body in (("DELETE", None), ("PATCH", {"rating": 1})):
        for person in ("bob", "admin"):
            assert (await house.ask(person, method, path, body)).error == (404, "NOT_FOUND")
    deleted = await house.ask("ada", "DELETE", path)
    assert deleted.data == {"id": review["id"], "movie_id": house.movie_id}
    assert (await shown(house), await rating(house)) == ([], (None, 0))
    for method, body in (("DELETE", None), ("PATCH", {"rating": 1})):
        assert (await house.ask("ada", method, path, body)).error == (404, "NOT_FOUND")
    assert (await house.ask("ada", "GET", "reviews")).data == []
    other = await written(house, "ada", {"rating": 4})
    assert await shown(house) == [other["id"]]


@pytest.mark.parametrize("before", ["pending", "rejected"])
async def test_nobody_comes_past_a_moderator_by_writing_anew(house: House, before: str) -> None:
    await seen(house, "ada")
    review = await written(house, "ada", RUDE)
    if before == "rejected":
        path, no = f"admin/reviews/{review['id']}", {"status": "rejected", "reason": "Rude."}
        assert (await house.ask("admin", "PATCH", path, no)).status == 200
    for _ in range(2):
        assert (await house.ask("ada", "DELETE", f"reviews/{review['id']}")).status == 200
        review = await written(house, "ada")
        assert review["status"] == "pending"
    assert (await shown(house), await rating(house)) == ([], (None, 0))
    path = f"admin/reviews/{review['id']}"
    assert (await house.ask("admin", "PATCH", path, {"status": "published"})).status == 200
    assert (await house.ask("ada", "DELETE", f"reviews/{review['id']}")).status == 200
    assert (await written(house, "ada"))["status"] == "published"


@pytest.mark.parametrize(
    "body",
    [
        {"rating": 0},
        {"rating": 6},
        {"text": "Great."},
        {"rating": 3, "text": "x" * 2001},
        {"rating": 3, "text": "a\u0007b"},
        {"rating": 3, "stars": 3},
    ],
)
async def test_what_is_no_review(house: House, body: dict[str, Any]) -> None:
    assert (await write(house, "ada", body)).error == (400, "VALIDATION_ERROR")


async def test_what_a_claimed_guest_has_seen_is_the_accounts(house: House) -> None:
    showtime_id = await open_doors(house)
    booking_id = await house.booked("guest", showtime_id, "A1")
    (ticket,) = await tickets_of(house, "guest", booking_id)
    assert (await scan(house, ticket["token"])).status == 200
    await house.database.execute(
        "update guests set claimed_by = $2, claimed_at = now() where id = $1",
        house.people["guest"],
        house.people["bob"],
    )
    assert (await write(house, "bob")).status == 201


@pytest.mark.asyncio(loop_scope="function")
async def test_a_house_may_ask_for_a_booking_alone(database: str) -> None:
    async with open_house(database, reviews_need_scan=False, review_words=("great",)) as house:
        showtime_id = await house.showtime()
        await house.move(showtime_id, starts_in=timedelta(hours=1))
        await house.booked("ada", showtime_id, "A1")
        given_back = await house.booked("bob", showtime_id, "A2")
        assert (await house.ask("bob", "DELETE", f"bookings/{given_back}")).status == 200
        assert (await write(house, "ada")).error == (409, "REVIEW_NOT_ALLOWED")
        await house.database.execute(
            "update showtimes set starts_at = now() - interval '3 hours',"
            " ends_at = now() - interval '1 hour' where id = $1",
            showtime_id,
        )
        assert (await written(house, "ada"))["status"] == "pending"
        assert (await write(house, "bob")).error == (409, "REVIEW_NOT_ALLOWED")
