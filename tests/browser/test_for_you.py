"""Films for one person: why, what that person says of them, and what is told of what it does."""

from __future__ import annotations

import json

from playwright.sync_api import Page, Request, expect

from tests.browser.backstage import Backstage
from tests.browser.steps import open_seats, sign_in, sign_in_as


def _kinds(request: Request) -> set[str]:
    """What kinds of events a page tells."""
    if not request.url.endswith("/api/v1/events"):
        return set()
    return {one["kind"] for one in json.loads(request.post_data or "{}")["events"]}


def test_somebody_says_what_films_are_like_and_takes_it_back(
    page: Page, backstage: Backstage
) -> None:
    sign_in(page, *backstage.account())
    page.goto("/")
    row = page.get_by_role("region", name="For you")
    row.get_by_role("heading", level=3).first.wait_for()
    with page.expect_request(lambda one: "impression" in _kinds(one)) as told:
        row.get_by_role("link", name="All of them").click()
    assert told.value.response().status == 202  # type: ignore[union-attr]
    first = page.locator(".for-you > li").first
    title = first.get_by_role("heading").inner_text()
    first.get_by_role("button", name="Hide").click()
    expect(first).to_contain_text(f"{title} is hidden.")
    first.get_by_role("button", name="Undo").click()
    more = first.get_by_role("button", name="More like this")
    more.click()
    expect(more).to_have_attribute("aria-pressed", "true")
    more.click()
    expect(more).to_have_attribute("aria-pressed", "false")
    first.get_by_role("button", name="Seen it").click()
    expect(first).to_contain_text(f"You have seen {title}.")
    page.reload()
    page.locator(".for-you h2").first.wait_for()
    expect(page.locator(".for-you h2").filter(has_text=title)).to_have_count(0)


def test_preferences_change_what_is_recommended_until_somebody_opts_out(
    page: Page, backstage: Backstage
) -> None:
    sign_in(page, *backstage.account())
    page.goto("/for-you")
    page.get_by_text("What you like, and where").click()
    page.get_by_label("Comedy", exact=True).check()
    page.get_by_role("button", name="Save").click()
    page.locator(".reason").filter(has_text="More of what you like: Comedy").first.wait_for()
    page.get_by_label("Do not look at what I book and do").check()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Recommendations do not look at you").wait_for()


def test_a_date_of_birth_is_kept_until_it_is_deleted(page: Page, backstage: Backstage) -> None:
    sign_in(page, *backstage.account())
    page.goto("/for-you")
    for born in ("2019-05-04", ""):
        page.get_by_text("What you like, and where").click()
        field = page.get_by_label("Date of birth (optional)")
        field.fill(born)
        page.get_by_role("button", name="Save").click()
        page.get_by_text("Saved").wait_for()
        page.reload()
        expect(field).to_have_value(born)


def test_a_seat_map_and_a_checkout_are_told_of(page: Page) -> None:
    with page.expect_request(lambda one: "seat_map" in _kinds(one)) as told:
        open_seats(page)
    (event,) = json.loads(told.value.post_data or "")["events"]
    assert page.url.endswith(event["showtime_id"])
    page.get_by_label("How many?").select_option("2")
    page.get_by_role("button", name="Find the best seats").click()
    with page.expect_request(lambda one: "checkout_start" in _kinds(one)):
        page.get_by_role("link", name="Go on to pay").click()


def test_admins_see_experiments_beside_the_reports(page: Page) -> None:
    page.goto("/sign-in")
    sign_in_as(page, "admin")
    page.goto("/manage/reports")
    page.get_by_role("link", name="Recommendations").click()
    page.get_by_text("A booking counts within seven days.").wait_for()
    page.get_by_role("link", name="Funnel").click()
    expect(page.get_by_label("By", exact=True)).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    page.goto("/sign-in")
    sign_in_as(page, "manager")
    page.goto("/manage/reports")
    page.get_by_role("link", name="Funnel").wait_for()
    expect(page.get_by_role("link", name="Recommendations")).to_have_count(0)
