"""The page that admins leave open on the evening of a premiere."""

from __future__ import annotations

from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.backstage import Backstage
from tests.browser.steps import sign_in_as
from tests.browser.windows import visitor
from tests.support.server_process import ServerProcess


def _figure(page: Page, name: str) -> Locator:
    return page.locator(".figures .panel").filter(has_text=name).locator("dd")


def test_what_happens_is_seen_without_a_reload(
    browser: Browser, server: ServerProcess, page: Page, backstage: Backstage
) -> None:
    showtime_id = backstage.showtime(4)
    page.goto("/sign-in")
    sign_in_as(page, "admin")
    page.get_by_role("navigation", name="For staff").get_by_role("link", name="Live").click()
    node = page.get_by_role("row").filter(has_text=server.url.removeprefix("http://"))
    expect(node).to_contain_text("serving")
    expect(_figure(page, "Nodes that answer")).to_have_text("1/1")
    expect(_figure(page, "Requests a second")).not_to_have_text("–")
    watchers = _figure(page, "Watchers")
    before = int(watchers.inner_text())
    with visitor(browser, server) as other:
        other.goto(f"/showtimes/{showtime_id}")
        other.locator(".line.live").wait_for()
        expect(watchers).to_have_text(str(before + 1))
    expect(watchers).to_have_text(str(before))
    bars = page.get_by_role("region", name="Bookings of the last 15 minutes").get_by_role("img")

    def booked() -> int:
        return sum(map(int, (bars.get_attribute("aria-label") or "0").split(", ")))

    least = booked()

    def grew() -> bool:
        """What other tests have booked leaves the quarter of an hour meanwhile."""
        nonlocal least
        now = booked()
        is_more, least = now > least, min(now, least)
        return is_more

    backstage.book("customer", showtime_id, "A1", "A2")
    backstage.until(grew)
