"""Tickets without a connection: there for whoever has looked at them, gone on signing out."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.backstage import FILM, Backstage
from tests.browser.steps import is_kept, sign_in_as

IS_FORGOTTEN = (
    "() => indexedDB.databases().then((all) => all.every((one) => one.name !== 'cinema.tickets'))"
)
IS_DROPPED = (
    "(id) => new Promise((resolve) => {"
    " const asked = indexedDB.open('cinema.tickets', 1);"
    " asked.onsuccess = () => {"
    " const got = asked.result.transaction('tickets').objectStore('tickets').get(id);"
    " got.onsuccess = () => { asked.result.close(); resolve(got.result === undefined); };"
    " }; })"
)
WHAT_IS_KEPT = (
    "async () => { const found = [];"
    " for (const name of await caches.keys())"
    " for (const one of await (await caches.open(name)).keys())"
    " found.push(new URL(one.url).pathname);"
    " return found; }"
)


def _looked_at(page: Page, backstage: Backstage) -> str:
    """A booking of the customer, whose code was on the screen; its address."""
    booking = backstage.book("customer", backstage.showtime(4), "A1", "A2")
    page.goto("/sign-in")
    sign_in_as(page, "customer")
    address = f"/bookings/{booking['id']}"
    page.goto(address)
    page.locator("img.qr").wait_for()
    backstage.until(lambda: is_kept(page, "/bookings"))
    return address


def test_a_ticket_that_was_looked_at_is_shown_without_a_connection(
    page: Page, backstage: Backstage
) -> None:
    address = _looked_at(page, backstage)
    code = page.locator("img.qr").get_attribute("src")
    page.context.set_offline(True)
    page.goto(address)
    expect(page.locator("img.qr")).to_have_attribute("src", code or "")
    expect(page.locator(".ticket")).to_contain_text("A1, A2")
    expect(page.get_by_text("There is no connection.")).to_be_visible()
    page.goto("/bookings")
    here = page.locator("main li").filter(has=page.locator(f'a[href="{address}"]'))
    expect(here).to_contain_text("A1, A2")
    here.get_by_role("link", name=FILM).click()
    expect(page.locator("img.qr")).to_have_attribute("src", code or "")
    kept = page.evaluate(WHAT_IS_KEPT)
    assert "/bookings" in kept
    assert all(one == "/bookings" or one.startswith("/assets/") for one in kept)
    # With the connection all that can be done with a booking comes back by itself.
    page.context.set_offline(False)
    page.get_by_role("button", name="Cancel booking").wait_for()


def test_whoever_has_signed_out_leaves_no_ticket_behind(page: Page, backstage: Backstage) -> None:
    address = _looked_at(page, backstage)
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name="Sign in").first.wait_for()
    backstage.until(lambda: page.evaluate(IS_FORGOTTEN) is True)
    page.context.set_offline(True)
    page.goto(address)
    page.locator("main").get_by_role("link", name="Sign in").wait_for()
    expect(page.locator("img.qr")).to_have_count(0)


def test_a_ticket_that_was_given_back_is_not_kept(page: Page, backstage: Backstage) -> None:
    address = _looked_at(page, backstage)
    page.get_by_role("button", name="Cancel booking").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Cancel and get").click()
    expect(page.locator("img.qr")).to_have_count(0)
    booking_id = address.removeprefix("/bookings/")
    backstage.until(lambda: page.evaluate(IS_DROPPED, booking_id) is True)
    page.context.set_offline(True)
    page.goto("/bookings")
    expect(page.locator("main h1")).to_be_visible()
    expect(page.locator(f'a[href="{address}"]')).to_have_count(0)
    page.goto(address)
    expect(page.locator("img.qr")).to_have_count(0)


def test_a_ticket_of_a_booking_that_was_cancelled_elsewhere_is_forgotten_when_it_is_seen(
    page: Page, backstage: Backstage
) -> None:
    address = _looked_at(page, backstage)
    booking_id = address.removeprefix("/bookings/")
    assert page.evaluate(IS_DROPPED, booking_id) is False
    backstage.ask("customer", "DELETE", f"bookings/{booking_id}")
    page.reload()
    page.locator(".ticket").wait_for()
    expect(page.locator("img.qr")).to_have_count(0)
    backstage.until(lambda: page.evaluate(IS_DROPPED, booking_id) is True)
