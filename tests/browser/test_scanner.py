"""The door: a camera, a reader that types, and no connection."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Error, Page, expect

from tests.browser.backstage import Backstage
from tests.browser.camera import film_of_code
from tests.browser.steps import go_to_work, is_kept, sign_in_as
from tests.browser.windows import FLAGS, visitor
from tests.support.server_process import ServerProcess

# On a busy machine the answer may come too late, and the list decides: both let in.
LET_IN = ".verdict.in, .verdict.offline"


def test_a_ticket_in_front_of_the_camera_lets_in(
    browser: Browser, server: ServerProcess, backstage: Backstage, chromium: str, tmp_path: Path
) -> None:
    showtime_id, (ticket, _) = _sold(backstage)
    film = film_of_code(ticket["token"], tmp_path / "ticket.y4m")
    flags = [
        *FLAGS,
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    ]
    with (
        browser.browser_type.launch(executable_path=chromium, args=flags) as other,
        visitor(other, server) as page,
    ):
        _at_the_door(page, showtime_id)
        page.get_by_role("button", name="Start the camera").click()
        expect(page.locator(LET_IN)).to_contain_text("A1")
        page.get_by_role("button", name="Stop the camera").click()
    _all_inside(backstage, showtime_id, 1)


def test_a_reader_that_types_goes_on_after_a_code_that_is_none(
    page: Page, backstage: Backstage
) -> None:
    showtime_id, (first, other) = _sold(backstage)
    _at_the_door(page, showtime_id)
    field = page.get_by_label("Code by hand")
    field.fill("nonsense")
    field.press("Enter")
    expect(page.locator(".verdict.refused")).to_contain_text("This is not one of our tickets.")
    expect(field).to_be_focused()
    for ticket in (first, other):
        field.fill(ticket["token"])
        field.press("Enter")
        expect(page.locator(LET_IN)).to_contain_text(ticket["seat"])
    field.fill(first["token"])
    field.press("Enter")
    expect(page.locator(".verdict.refused")).to_contain_text("Somebody is inside with this ticket.")


def test_without_a_connection_the_list_decides_and_what_happened_is_sent_later(
    page: Page, backstage: Backstage
) -> None:
    showtime_id, (first, other) = _sold(backstage)
    _at_the_door(page, showtime_id)
    page.route("**/api/v1/tickets/scan*", lambda route: route.abort())
    field = page.get_by_label("Code by hand")
    for ticket in (first, other):
        field.fill(ticket["token"])
        field.press("Enter")
        expect(page.locator(".verdict.offline")).to_contain_text(ticket["seat"])
    field.fill(first["token"])
    field.press("Enter")
    expect(page.locator(".verdict.refused")).to_contain_text("Somebody is inside with this ticket.")
    forged = ("B" if first["token"][100] == "A" else "A").join(
        (first["token"][:100], first["token"][101:])
    )
    field.fill(forged)
    field.press("Enter")
    expect(page.locator(".verdict.refused")).to_contain_text("This is not one of our tickets.")
    expect(page.locator(".line.lost")).to_be_visible()
    queue = page.get_by_role("region", name="2 wait to be sent")
    expect(queue.locator("li")).to_have_count(2)
    page.reload()
    expect(queue.locator("li")).to_have_count(2)
    # Meanwhile another door lets the same ticket in.
    scan = {"token": other["token"], "nonce": uuid4().hex}
    backstage.ask("staff", "POST", "tickets/scan", scan)
    page.unroute("**/api/v1/tickets/scan*")
    conflicts = page.get_by_role("region", name="To look into")
    expect(conflicts.locator("li").first).to_contain_text(f"{other['seat']} was let in twice")
    expect(queue).to_have_count(0)
    _all_inside(backstage, showtime_id, 2)


def test_the_page_starts_without_a_connection_and_nothing_else_is_kept(
    page: Page, backstage: Backstage
) -> None:
    showtime_id, (ticket, _) = _sold(backstage)
    _at_the_door(page, showtime_id)
    backstage.until(lambda: is_kept(page, "/staff/scan"))
    page.context.set_offline(True)
    page.goto("/staff/scan")
    page.get_by_label("Showtime").select_option(showtime_id)
    field = page.get_by_label("Code by hand")
    field.fill(ticket["token"])
    field.press("Enter")
    expect(page.locator(".verdict.offline")).to_contain_text(ticket["seat"])
    expect(page.locator(".line.lost")).to_be_visible()
    kept = page.evaluate(
        "async () => { const found = [];"
        " for (const name of await caches.keys())"
        " for (const one of await (await caches.open(name)).keys())"
        " found.push(new URL(one.url).pathname);"
        " return found; }"
    )
    assert "/staff/scan" in kept
    assert all(one == "/staff/scan" or one.startswith("/assets/") for one in kept)
    # It goes on by itself.
    page.context.set_offline(False)
    page.get_by_role("button", name="Sign out").wait_for()
    _all_inside(backstage, showtime_id, 1)
    page.context.set_offline(True)
    with pytest.raises(Error):
        page.goto("/staff/sales")


def test_whoever_has_signed_out_cannot_scan_without_a_connection(
    page: Page, backstage: Backstage
) -> None:
    showtime_id, _ = _sold(backstage)
    _at_the_door(page, showtime_id)
    backstage.until(lambda: is_kept(page, "/staff/scan"))
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name="Sign in").first.wait_for()
    page.context.set_offline(True)
    page.goto("/staff/scan")
    page.get_by_text("Sign in with an account that may see this page.").wait_for()


def test_customers_see_no_pages_of_work(page: Page) -> None:
    page.goto("/sign-in")
    sign_in_as(page, "customer")
    expect(page.get_by_role("navigation", name="For staff")).to_have_count(0)
    page.goto("/staff/scan")
    page.get_by_text("Sign in with an account that may see this page.").wait_for()


def _sold(backstage: Backstage) -> tuple[str, list[dict[str, Any]]]:
    """A showtime whose doors are open, and the two tickets of a booking."""
    showtime_id = backstage.showtime(2, starts_in=timedelta(minutes=20))
    booking = backstage.book("customer", showtime_id, "A1", "A2")
    tickets = backstage.ask("customer", "GET", f"tickets?booking_id={booking['id']}")
    return showtime_id, sorted(tickets, key=lambda one: one["seat"])


def _at_the_door(page: Page, showtime_id: str) -> None:
    page.goto("/sign-in")
    sign_in_as(page, "staff")
    go_to_work(page, "Scanner", "At the door")
    page.get_by_label("Showtime").select_option(showtime_id)
    page.get_by_text("Ready, also without a connection").wait_for()


def _all_inside(backstage: Backstage, showtime_id: str, count: int) -> None:
    """However it was decided, the server knows in the end."""
    backstage.until(
        lambda: (
            backstage.ask("staff", "GET", f"showtimes/{showtime_id}/attendance")["inside"] == count
        )
    )
