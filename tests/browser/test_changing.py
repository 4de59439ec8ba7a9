"""Waiting for seats, exchanging them, and paying with more than one thing."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.backstage import Backstage
from tests.browser.steps import choose, hold, sign_in, sign_in_as


def test_whoever_waits_for_a_sold_out_showtime_collects_what_comes_back(
    page: Page, backstage: Backstage
) -> None:
    showtime_id = backstage.showtime(2)
    sold = backstage.book("customer", showtime_id, "A1", "A2")
    sign_in(page, *backstage.account())
    page.goto(f"/showtimes/{showtime_id}")
    waiting = page.get_by_role("region", name="Wait for seats")
    waiting.get_by_label("How many?").select_option("2")
    waiting.get_by_role("button", name="Join the wait list").click()
    page.get_by_text("Place 1, for 2 seats").wait_for()
    page.reload()
    page.get_by_text("Place 1, for 2 seats").wait_for()
    backstage.ask("customer", "DELETE", f"bookings/{sold['id']}")
    page.get_by_text("A1, A2 are kept for you").wait_for()
    page.get_by_role("button", name="Leave them to others").wait_for()
    page.get_by_role("button", name="Take them").click()
    page.get_by_role("button", name="Pay ").click()
    page.get_by_role("heading", name="Enjoy the film!").wait_for()
    expect(page.locator(".ticket .big")).to_have_text("A1, A2")


def test_whoever_waits_no_longer_leaves_the_list(page: Page, backstage: Backstage) -> None:
    showtime_id = backstage.showtime(1)
    backstage.book("customer", showtime_id, "A1")
    sign_in(page, *backstage.account())
    page.goto(f"/showtimes/{showtime_id}")
    page.get_by_role("button", name="Join the wait list").click()
    # There is one seat in all.
    page.get_by_text("The hall does not have so many seats").wait_for()
    page.get_by_label("How many?").first.select_option("1")
    page.get_by_role("button", name="Join the wait list").click()
    page.get_by_role("button", name="Wait no longer").click()
    page.get_by_role("button", name="Join the wait list").wait_for()


def test_a_booking_is_exchanged_after_the_difference_was_said(
    page: Page, backstage: Backstage
) -> None:
    first, other = backstage.showtime(4), backstage.showtime(6)
    page.goto("/sign-in")
    sign_in_as(page, "customer")
    booking = backstage.book("customer", first, "A1")
    page.goto(f"/bookings/{booking['id']}")
    page.get_by_role("link", name="Exchange for another time").click()
    page.locator(".time").first.wait_for()
    wanted = page.locator(f'a[href*="{other}"]')
    for day in page.locator(".days button").all():
        if wanted.count() == 0:
            day.click()
    wanted.click()
    page.locator(".line.live").wait_for()
    choose(page, ["A1", "A2"])
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("heading", name="Your new seats").wait_for()
    expect(page.locator(".sum .total")).to_contain_text("To pay")
    page.get_by_role("button", name="Exchange", exact=True).click()
    page.get_by_role("heading", name="Enjoy the film!").wait_for()
    expect(page.locator(".ticket .big")).to_have_text("A1, A2")
    page.goto(f"/bookings/{booking['id']}")
    page.locator(".status.cancelled").wait_for()


def test_tickets_and_a_date_are_saved(page: Page, backstage: Backstage) -> None:
    booking = backstage.book("customer", backstage.showtime(2), "A1")
    page.goto("/sign-in")
    sign_in_as(page, "customer")
    page.goto(f"/bookings/{booking['id']}")
    for button, begins in (("Tickets as PDF", b"%PDF"), ("To my calendar", b"BEGIN:VCALENDAR")):
        with page.expect_download() as download:
            page.get_by_role("button", name=button).click()
        with download.value.path().open("rb") as file:
            assert file.read(len(begins)) == begins


def test_a_gift_card_pays_a_part_and_the_rest_is_paid_otherwise(
    page: Page, backstage: Backstage
) -> None:
    showtime_id = backstage.showtime(4)
    code = _card(backstage, showtime_id, 400)
    page.goto("/sign-in")
    sign_in_as(page, "staff")
    page.goto(f"/showtimes/{showtime_id}")
    page.locator(".line.live").wait_for()
    hold(page, ["A1"])
    page.get_by_label("Gift card").fill("AAAA-AAAA-AAAA-AAAA")
    page.get_by_role("button", name="Look up").click()
    page.get_by_text("There is no gift card with this code").wait_for()
    page.get_by_label("Gift card").fill(code)
    page.get_by_role("button", name="Look up").click()
    page.get_by_text("There is €4.00 on the gift card.").wait_for()
    pay = page.get_by_role("button", name="Pay ")
    expect(pay).not_to_have_text("Pay €0.00")
    pay.click()
    page.get_by_role("heading", name="Enjoy the film!").wait_for()
    page.locator(".status.confirmed").wait_for()
    empty = backstage.ask("staff", "POST", "gift-cards/balance", {"code": code})
    assert empty["balance"]["amount"] == 0


def test_a_payment_that_was_begun_goes_on_after_the_page_is_loaded_anew(
    page: Page, backstage: Backstage
) -> None:
    showtime_id = backstage.showtime(4)
    code = _card(backstage, showtime_id, 400)
    page.goto("/sign-in")
    sign_in_as(page, "customer")
    page.goto(f"/showtimes/{showtime_id}")
    page.locator(".line.live").wait_for()
    hold(page, ["A1"])
    page.get_by_label("Gift card").fill(code)
    page.get_by_role("button", name="Look up").click()
    page.get_by_text("There is €4.00 on the gift card.").wait_for()
    page.route("**/payments/process", lambda route: route.abort())
    with page.expect_request("**/payments/process"):
        page.get_by_role("button", name="Pay ").click()
    page.reload()
    page.get_by_role("heading", name="A part is paid").wait_for()
    page.unroute("**/payments/process")
    page.get_by_role("button", name="Pay ").click()
    page.get_by_role("heading", name="Enjoy the film!").wait_for()


def _card(backstage: Backstage, showtime_id: str, amount: int) -> str:
    showtime = backstage.ask("manager", "GET", f"showtimes/{showtime_id}")
    body = {
        "cinema_id": showtime["cinema_id"],
        "amount": {"amount": amount, "currency": showtime["base_price"]["currency"]},
        "payment": {"method": "free"},
    }
    return str(backstage.ask("manager", "POST", "gift-cards", body)["cards"][0]["code"])
