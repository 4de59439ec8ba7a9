"""Reviews: written by who has seen a film, reported by others, decided about by admins."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from tests.browser.backstage import FILM, Backstage
from tests.browser.steps import sign_in, sign_in_as

SOON = timedelta(minutes=20)


@pytest.fixture
def film(backstage: Backstage) -> Iterator[str]:
    """The page of a film that the customer of the demo has seen, without a review of theirs."""
    booking = backstage.book("customer", backstage.showtime(4, starts_in=SOON), "A1")
    ticket = backstage.ask("customer", "GET", f"tickets?booking_id={booking['id']}")[0]
    backstage.ask("staff", "POST", "tickets/scan", {"token": ticket["token"]})
    found = backstage.ask("customer", "GET", f"movies?q={FILM}")[0]
    yield f"/films/{found['id']}"
    for review in backstage.ask("customer", "GET", "reviews"):
        backstage.ask("customer", "DELETE", f"reviews/{review['id']}")


def _write(page: Page, text: str, rating: str = "4") -> None:
    page.get_by_label("Rating").select_option(rating)
    page.get_by_label("What do you say of it?").fill(text)
    page.get_by_role("button", name="Save").click()


def test_a_film_is_reviewed_by_who_has_seen_it_and_the_review_is_changed_and_deleted(
    page: Page, backstage: Backstage, film: str
) -> None:
    page.goto("/sign-in")
    sign_in_as(page, "customer")
    page.goto(film)
    said = f"Well made {uuid4()}"
    page.get_by_role("button", name="Write a review").click()
    _write(page, said)
    own = page.get_by_role("region", name="Your review")
    expect(own).to_contain_text(said)
    own.get_by_role("img", name="4 of 5").wait_for()
    page.get_by_text("of 5, from").wait_for()
    own.get_by_role("button", name="Change").click()
    _write(page, f"{said}, and long", "3")
    own.get_by_role("img", name="3 of 5").wait_for()
    expect(own).to_contain_text("and long")
    own.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Write a review").wait_for()
    assert backstage.ask("customer", "GET", "reviews") == []


def test_who_has_not_seen_a_film_is_told_and_can_report_what_others_say(
    page: Page, backstage: Backstage, film: str
) -> None:
    said = f"The butler did it {uuid4()}"
    path = f"movies/{film.rpartition('/')[2]}/reviews"
    backstage.ask("customer", "POST", path, {"rating": 2, "text": said})
    page.goto(film)
    expect(page.locator(".review").filter(has_text=said)).to_be_visible()
    sign_in(page, *backstage.account())
    page.goto(film)
    page.get_by_role("button", name="Write a review").click()
    _write(page, "Never seen it")
    page.get_by_text("You can review a film once you have seen it here.").wait_for()
    page.locator(".review").filter(has_text=said).get_by_role("button").click()
    page.get_by_label("Why?").select_option("spoiler")
    page.get_by_role("dialog").get_by_role("button", name="Report").click()
    page.get_by_text("Thank you.").wait_for()


def test_an_admin_rejects_what_waits_and_its_author_reads_why(
    page: Page, backstage: Backstage, film: str
) -> None:
    said = f"See www.example.com {uuid4()}"
    path = f"movies/{film.rpartition('/')[2]}/reviews"
    made = backstage.ask("customer", "POST", path, {"rating": 1, "text": said})
    assert made["status"] == "pending"
    page.goto("/sign-in")
    sign_in_as(page, "admin")
    page.get_by_role("navigation", name="For staff").get_by_role("link", name="Reviews").click()
    row = page.locator(".rows > li").filter(has_text=said)
    row.get_by_role("button", name="Reject").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("No addresses, please.")
    dialog.get_by_role("button", name="Reject").click()
    expect(row).to_have_count(0)
    page.get_by_role("link", name="rejected").click()
    expect(row).to_contain_text("No addresses, please.")
    row.get_by_role("button", name="Publish").click()
    expect(row).to_have_count(0)
    (own,) = backstage.ask("customer", "GET", "reviews")
    assert own["status"] == "published"
