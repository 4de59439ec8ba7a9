"""The box office: selling in a few actions, by keyboard alone, into a till that is counted."""

from __future__ import annotations

from datetime import timedelta

from playwright.sync_api import Page, expect

from tests.browser.backstage import Backstage
from tests.browser.steps import go_to_work, sign_in_as


def test_staff_open_a_till_sell_by_keyboard_and_count(page: Page, backstage: Backstage) -> None:
    showtime_id = backstage.showtime(10, starts_in=timedelta(hours=1))
    showtime = backstage.ask("staff", "GET", f"showtimes/{showtime_id}")
    screen = backstage.ask("staff", "GET", f"screens/{showtime['screen_id']}")["name"]
    page.goto("/sign-in")
    sign_in_as(page, "staff")
    go_to_work(page, "Box office", "Box office")
    page.get_by_label("Cash in the drawer").fill("about 50")
    page.get_by_role("button", name="Open the till").click()
    page.get_by_text("Enter an amount").wait_for()
    page.get_by_label("Cash in the drawer").fill("50")
    page.get_by_role("button", name="Open the till").click()
    page.get_by_text("Till 1 is open").wait_for()

    # Three actions, with the keyboard alone from here.
    show = page.get_by_role("button").filter(has_text=screen)
    show.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="1", exact=True)).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Cash", exact=True)).to_be_focused()
    expect(page.locator(".sale-total")).to_contain_text("€")
    page.keyboard.press("Enter")
    page.get_by_text("sold for").wait_for()
    expect(page.get_by_role("button", name="Next sale")).to_be_focused()
    with page.expect_download() as download:
        page.get_by_role("button", name="Print tickets").click()
    with download.value.path().open("rb") as file:
        assert file.read(4) == b"%PDF"
    page.get_by_role("button", name="Next sale").click()

    # Seats of the map, by card, with a reduced ticket.
    show.click()
    page.get_by_role("button", name="Seat map").click()
    free = page.locator("[data-seat].available").first
    label = free.get_attribute("data-seat")
    free.click()
    page.get_by_role("button", name=f"Take {label}").click()
    full = page.locator(".sale-total strong")
    expect(full).to_contain_text("€")
    before = full.inner_text()
    page.get_by_label(f"Ticket for {label}").select_option("child")
    expect(full).not_to_have_text(before)
    page.get_by_label("Received").fill("100")
    page.get_by_text("Give back €").wait_for()
    page.get_by_role("button", name="Card", exact=True).click()
    page.get_by_text(f"{label} sold for").wait_for()
    page.get_by_role("button", name="Next sale").click()
    expect(page.get_by_role("region", name="Sold just now").locator("li")).to_have_count(2)

    page.get_by_text("Move cash").first.click()
    page.get_by_label("Amount").fill("20")
    page.get_by_label("Reason").fill("Change")
    page.get_by_role("button", name="Move cash").click()
    page.get_by_text("Pay in: Change").wait_for()
    page.get_by_text("Close the till").first.click()
    page.get_by_label("Counted").fill("70")
    page.get_by_role("button", name="Close the till").click()
    closed = page.get_by_role("region", name="Till 1 is closed")
    closed.wait_for()
    # The two tickets that were paid in cash are missing in the drawer.
    expect(closed).to_contain_text("-€")


def test_staff_begin_in_their_own_cinema_and_see_no_other(page: Page, backstage: Backstage) -> None:
    assert len(backstage.ask("admin", "GET", "cinemas")) > 1
    page.goto("/sign-in")
    sign_in_as(page, "staff")
    page.get_by_role("link", name="Box office").click()
    choices = page.get_by_label("Cinema").locator("option")
    expect(choices).to_have_text(["Kino Aurora, Berlin"])
    page.get_by_role("region", name="Till").wait_for()
