"""Codes before sales open, and seats for channels of sale: made by managers, met by customers."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Literal

from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.backstage import FILM, Backstage
from tests.browser.houses import House
from tests.browser.pages import faults_of
from tests.browser.steps import choose, go_to_work, seat, sign_in_as
from tests.browser.windows import visitor
from tests.support.server_process import ServerProcess

NARROW = {"viewport": {"width": 390, "height": 900}, "bypass_csp": True}
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def _faults(page: Page) -> list[str]:
    found = []
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        found += faults_of(page)
    return found


def _showtime(page: Page, house: House) -> Locator:
    """The dialog of the only showtime of its day."""
    page.goto("/sign-in")
    sign_in_as(page, "admin")
    go_to_work(page, "Timetable", "Timetable", cinema=house.label)
    page.get_by_label("Day", exact=True).fill(house.day())
    page.get_by_role("button", name=re.compile("^18:00 ")).click()
    return page.get_by_role("dialog", name=FILM)


def _not_on_sale_yet(backstage: Backstage, showtime_id: str) -> None:
    """Let its sales open tomorrow."""
    shown = backstage.ask("admin", "GET", f"showtimes/{showtime_id}")
    kept = ("movie_id", "screen_id", "starts_at", "base_price", "format", "language", "rules")
    opens_at = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    sales = {"opens_at": opens_at, "closes_at": shown["sales"]["closes_at"]}
    body = {**{name: shown[name] for name in kept}, "sales": sales}
    backstage.ask("admin", "PUT", f"showtimes/{showtime_id}", body, seen=shown["version"])


def test_a_code_of_a_manager_lets_a_customer_choose_before_sales_open(
    browser: Browser, server: ServerProcess, page: Page, backstage: Backstage
) -> None:
    house = House(backstage)
    showtime_id = house.showtime()["id"]
    _not_on_sale_yet(backstage, showtime_id)
    with visitor(browser, server, **NARROW) as manager:
        dialog = _showtime(manager, house)
        dialog.get_by_role("button", name="Presale codes").click()
        dialog.get_by_label("Code", exact=True).fill("FRIENDS-2026")
        dialog.get_by_role("button", name="Add a code").click()
        row = dialog.locator("li").filter(has_text="FRIENDS-2026")
        expect(row).to_contain_text("0 of 100")
        row.get_by_label("Holds in all").fill("1")
        row.get_by_role("button", name="Save").click()
        expect(row).to_contain_text("0 of 1 ")
        assert _faults(manager) == []
        page.goto(f"/showtimes/{showtime_id}")
        page.locator(".line.live").wait_for()
        choose(page, ["A1", "A2"])
        page.get_by_role("button", name="Continue").click()
        expect(page.locator(".tray-notes")).not_to_be_empty()
        page.get_by_label("Your presale code").fill("NOT-THIS-ONE")
        page.get_by_role("button", name="Continue").click()
        expect(page.locator(".tray-notes")).to_contain_text("This code is not known")
        page.get_by_label("Your presale code").fill("friends-2026")
        page.get_by_role("button", name="Continue").click()
        page.locator(".sum .total").wait_for()
        with visitor(browser, server, **NARROW) as other:
            other.goto(f"/showtimes/{showtime_id}")
            other.locator(".line.live").wait_for()
            assert _faults(other) == []
            other.get_by_label("Your presale code").fill("FRIENDS-2026")
            choose(other, ["B1", "B2"])
            other.get_by_role("button", name="Continue").click()
            expect(other.locator(".tray-notes")).to_contain_text("This code has been used up.")
        row.get_by_role("button", name="End: FRIENDS-2026").click()
        expect(row).to_have_count(0)
    assert backstage.ask("admin", "GET", f"showtimes/{showtime_id}/presale-codes") == []


def test_seats_for_the_box_office_are_not_sold_on_the_web(
    browser: Browser, server: ServerProcess, page: Page, backstage: Backstage
) -> None:
    house = House(backstage)
    showtime_id = house.showtime()["id"]
    with visitor(browser, server, **NARROW) as manager:
        dialog = _showtime(manager, house)
        dialog.get_by_role("button", name="Seats for channels").click()
        office = dialog.get_by_role("group", name="Box office")
        office.get_by_label("Seats kept").fill("10")
        assert _faults(manager) == []
        dialog.get_by_role("button", name="Save").click()
        expect(dialog).to_have_count(0)
    shown = backstage.ask("admin", "GET", f"showtimes/{showtime_id}")
    assert shown["rules"]["channels"] == [{"channel": "box_office", "seats": 10}]
    page.goto(f"/showtimes/{showtime_id}")
    page.locator(".line.live").wait_for()
    choose(page, ["A1", "A2", "A3", "A4"])
    page.get_by_role("button", name="Continue").click()
    expect(page.locator(".tray-notes")).to_contain_text("kept for the box office")
    for label in ("A3", "A4"):
        seat(page, label).click()
    page.get_by_role("button", name="Continue").click()
    page.locator(".sum .total").wait_for()
