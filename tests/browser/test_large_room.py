"""A room of 1,000 seats: several are chosen by pointer and by keys, and held."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.backstage import Backstage
from tests.browser.houses import House
from tests.browser.pages import faults_of
from tests.browser.steps import seat
from tests.browser.windows import visitor
from tests.support.server_process import ServerProcess

ROWS, COLUMNS = 25, 40
LEAST_PX = 24
WIDTHS = (390, 1280)


@pytest.mark.parametrize("width", WIDTHS)
def test_seats_are_chosen_by_pointer_and_by_keys_and_held(
    browser: Browser, server: ServerProcess, width: int
) -> None:
    options: dict[str, Any] = {"viewport": {"width": width, "height": 900}, "bypass_csp": True}
    with visitor(browser, server, **options) as page:
        backstage = Backstage(page, server)
        house = House(backstage, rows=ROWS, columns=COLUMNS)
        showtime_id = house.showtime()["id"]
        page.goto(f"/showtimes/{showtime_id}")
        page.locator(".line.live").wait_for()
        expect(page.locator("[data-seat]")).to_have_count(ROWS * COLUMNS)
        # The far corner, wherever the map has to be scrolled to, and large enough for a finger.
        for label in ("Y40", "Y39"):
            seat(page, label).click()
        box = seat(page, "Y40").bounding_box()
        assert box is not None
        assert round(box["width"]) >= LEAST_PX
        # From there by keys alone.
        page.keyboard.press("ArrowUp")
        expect(seat(page, "X39")).to_be_focused()
        page.keyboard.press("Control+Home")
        expect(seat(page, "A1")).to_be_focused()
        expect(seat(page, "A1")).to_be_in_viewport()
        page.keyboard.press("Space")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        expect(page.locator(".tray-text")).to_contain_text("4 seats: Y40, Y39, A1, A2")
        # What others do meanwhile is painted here too.
        backstage.hold("customer", showtime_id, "M20")
        expect(seat(page, "M20")).to_have_class(re.compile(r"\bheld\b"))
        assert faults_of(page) == []
        page.get_by_role("button", name="Fit").click()
        page.wait_for_function(
            "() => document.querySelector('svg.map').clientWidth"
            " <= document.querySelector('.map-scroll').clientWidth"
        )
        page.get_by_role("button", name="Continue").click()
        page.locator(".sum .total").wait_for()
        expect(page.locator(".seat-name")).to_have_count(4)
