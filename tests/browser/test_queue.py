"""The waiting room: its page, the way through it to a seat, and a guest who loads anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.backstage import Backstage
from tests.browser.pages import faults_of
from tests.browser.steps import choose, hold
from tests.browser.windows import visitor
from tests.support.server_process import ServerProcess

THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def _open(backstage: Backstage, showtime_id: str, **room: object) -> None:
    backstage.ask("admin", "PUT", f"showtimes/{showtime_id}/queue", {"mode": "on", **room})


def test_a_guest_waits_goes_in_and_keeps_the_place_over_a_reload(
    page: Page, backstage: Backstage
) -> None:
    showtime_id = backstage.showtime(8)
    # However slow the machine, the turn is not missed.
    _open(backstage, showtime_id, entry_seconds=900, shopping_seconds=3600)
    seen: list[str] = []
    page.on("framenavigated", lambda frame: seen.append(frame.url))
    page.goto(f"/showtimes/{showtime_id}")
    page.locator(".line.live").wait_for()
    choose(page, ["A1"])
    # Through the waiting room and back.
    with page.expect_response("**/queue/entry") as entry:
        page.get_by_role("button", name="Continue").click()
    assert entry.value.ok
    assert any("/queue.html?showtime=" in one for one in seen)
    page.locator(".line.live").wait_for()
    assert "#" not in page.url
    page.reload()
    page.locator(".line.live").wait_for()
    choose(page, ["A1"])
    with page.expect_response("**/queue/entry") as entry:
        page.get_by_role("button", name="Continue").click()
    assert entry.value.ok
    page.locator(".line.live").wait_for()
    hold(page, ["A1"])


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_of_the_waiting_room_has_no_fault(
    browser: Browser, server: ServerProcess, width: int
) -> None:
    options = {"viewport": {"width": width, "height": 900}, "bypass_csp": True}
    with visitor(browser, server, **options) as page:
        backstage = Backstage(page, server)
        showtime_id = backstage.showtime(8)
        start = datetime.now(UTC) + timedelta(hours=1)
        _open(backstage, showtime_id, starts_at=start.isoformat())
        page.goto(f"/queue.html?showtime={showtime_id}")
        expect(page.get_by_role("status")).to_contain_text("You have a place.")
        page.get_by_text("How the order comes about").click()
        found = {}
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            found[theme] = faults_of(page)
        assert found == {"light": [], "dark": []}
        # The same place, whoever loads it again.
        kept = page.evaluate("() => JSON.stringify(localStorage)")
        page.reload()
        expect(page.get_by_role("status")).to_contain_text("You have a place.")
        assert page.evaluate("() => JSON.stringify(localStorage)") == kept
