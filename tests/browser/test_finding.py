"""A booking of somebody else: staff find it, and help whoever stands before them."""

from __future__ import annotations

from uuid import uuid4

from playwright.sync_api import Browser, Page, expect

from tests.browser.backstage import PASSWORDS, Backstage
from tests.browser.steps import sign_in_as
from tests.browser.windows import visitor
from tests.support.server_process import ServerProcess


def _search(page: Page, field: str, text: str) -> None:
    for one in ("Booking code", "E-mail", "Name"):
        page.get_by_label(one, exact=True).fill(text if one == field else "")
    page.get_by_role("button", name="Find").click()


def _to_the_search(page: Page) -> None:
    page.goto("/sign-in")
    sign_in_as(page, "staff")
    page.get_by_role("navigation", name="For staff").get_by_role("link", name="Bookings").click()
    page.get_by_role("heading", name="Bookings", level=1, exact=True).wait_for()


def test_a_booking_is_found_by_code_address_and_name(page: Page, backstage: Backstage) -> None:
    booking = backstage.book("customer", backstage.showtime(4), "A1")
    code, email = booking["code"], PASSWORDS["customer"][0]
    me = backstage.ask("customer", "GET", "auth/me")
    _to_the_search(page)
    row = page.get_by_role("list", name="Found bookings").locator("li").filter(has_text=code)
    _search(page, "Booking code", code.lower())
    expect(row).to_contain_text("A1")
    _search(page, "Booking code", "NOTHING1")
    page.get_by_text("No booking fits").wait_for()
    _search(page, "E-mail", email)
    expect(row).to_contain_text("The Godfather")
    _search(page, "Name", f"{me['first_name']} {me['last_name']}")
    expect(row).to_have_count(1)
    # What is typed here is about people: it stays out of addresses, which are kept in histories.
    assert page.url.endswith("/staff/bookings")
    _search(page, "E-mail", "somebody")
    page.get_by_role("alert").wait_for()


def test_tickets_are_printed_mailed_issued_again_and_given_back(
    page: Page, backstage: Backstage
) -> None:
    booking = backstage.book("customer", backstage.showtime(4), "A1", "A2")
    _to_the_search(page)
    _search(page, "Booking code", booking["code"])
    page.get_by_role("link", name=f"Your booking: {booking['code']}").click()
    facts = page.get_by_role("region", name=booking["code"])
    expect(facts).to_contain_text("A1, A2")
    expect(facts).to_contain_text("c***@cinema.example")
    with page.expect_download() as download:
        page.get_by_role("button", name="Print again").click()
    with download.value.path().open("rb") as file:
        assert file.read(4) == b"%PDF"
    page.get_by_role("button", name="Send the mail again").click()
    page.get_by_text("A mail with the tickets is on its way to c***@cinema.example.").wait_for()

    path = f"tickets?booking_id={booking['id']}"
    before = {one["seat"]: one["token"] for one in backstage.ask("customer", "GET", path)}
    page.get_by_role("button", name="Issue again: A1").click()
    page.get_by_text("Issued again").wait_for()
    after = {one["seat"]: one["token"] for one in backstage.ask("customer", "GET", path)}
    assert after["A1"] != before["A1"]
    assert after["A2"] == before["A2"]

    text = f"Lost the telephone {uuid4()}"
    page.get_by_role("textbox", name="Note").fill(text)
    page.get_by_role("button", name="Add the note").click()
    notes = page.get_by_role("region", name="Notes").locator("li")
    expect(notes).to_contain_text(text)

    page.get_by_role("button", name="Cancel booking").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("A1").uncheck()
    dialog.get_by_text("You get €").wait_for()
    dialog.get_by_role("button", name="Cancel A2").click()
    expect(page.get_by_role("region", name="Tickets").locator("li")).to_have_count(1)
    # The code of a booking may have these two characters too.
    expect(facts.locator("dl")).not_to_contain_text("A2")
    left = backstage.ask("customer", "GET", f"bookings/{booking['id']}")
    assert [seat["label"] for seat in left["seats"]] == ["A1"]


def test_a_booking_is_found_in_german_too(
    browser: Browser, server: ServerProcess, backstage: Backstage
) -> None:
    booking = backstage.book("customer", backstage.showtime(4), "A1")
    with visitor(browser, server, locale="de-DE") as page:
        page.goto("/sign-in")
        page.get_by_role("button", name="Als Personal anmelden").click()
        page.get_by_role("link", name="Buchungen", exact=True).click()
        page.get_by_label("Buchungscode").fill(booking["code"])
        page.get_by_role("button", name="Suchen").click()
        page.get_by_role("link", name=booking["code"]).click()
        page.get_by_role("button", name="Notiz anlegen").wait_for()
