"""Every page, in both themes and widths: accessible, and no wider than the screen."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.backstage import Backstage
from tests.browser.houses import House
from tests.browser.pages import faults_of
from tests.browser.steps import hold_best, open_seats, sign_in_as
from tests.browser.windows import visitor
from tests.support.server_process import ServerProcess

WIDTHS = (390, 1280)
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_has_a_fault(browser: Browser, server: ServerProcess, width: int) -> None:
    found: dict[str, list[str]] = {}

    def look(name: str, page: Page) -> None:
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            look_at(f"{name}, {theme}", page)

    def look_at(name: str, page: Page) -> None:
        faults = faults_of(page)
        if faults:
            found[name] = faults

    options = {
        "viewport": {"width": width, "height": 900},
        "reduced_motion": "reduce",
        "bypass_csp": True,
    }
    with visitor(browser, server, **options) as page:
        page.goto("/")
        page.locator(".film-card").first.wait_for()
        look("home", page)
        page.goto("/?q=nothing-like-it")
        page.locator(".empty").wait_for()
        look("nothing found", page)
        open_seats(page)
        look("seats", page)
        page.get_by_text("Rows as a list").click()
        look("list of seats", page)
        hold_best(page, 2)
        look("checkout", page)
        page.get_by_role("link", name="Sign in, your seats stay yours").click()
        page.get_by_role("button", name="Sign in as customer").wait_for()
        look("sign in", page)
        sign_in_as(page, "customer")
        page.get_by_role("button", name="Pay ").click()
        page.get_by_role("heading", name="Enjoy the film!").wait_for()
        look("booking", page)
        page.get_by_role("button", name="Cancel booking").click()
        expect(page.get_by_role("dialog").locator(".skeleton")).to_have_count(0)
        look("cancelling", page)
        page.keyboard.press("Escape")
        page.get_by_role("link", name="My bookings").click()
        page.locator(".booking-card h2").first.wait_for()
        look("bookings", page)
        page.locator(".booking-card").first.click()
        page.get_by_role("link", name="Exchange for another time").click()
        page.locator(".time").first.wait_for()
        look("exchange", page)
        for part in ("profile", "security", "messages", "points", "privacy"):
            page.goto(f"/account?part={part}")
            page.locator(".account-part h2").first.wait_for()
            look(f"account: {part}", page)
        page.get_by_role("button", name="Erase the account").click()
        look("erasing", page)
        for path in (
            *("/sign-up", "/forgot-password", "/reset-password", "/messages/off", "/nowhere"),
            *("/accept-invitation#token=x", f"/orders/{uuid4()}#token=x", "/exports/x#token=x"),
        ):
            page.goto(path)
            page.get_by_role("heading", level=1).wait_for()
            look(path, page)
        page.goto("/series")
        for n in range(2):
            page.get_by_role("checkbox").nth(n).check()
        page.locator(".map").wait_for()
        look("series", page)
        page.goto("/bookings/series")
        page.locator(".empty, .rows").first.wait_for()
        look("list of series", page)
        page.goto("/for-you")
        page.locator(".for-you h2").first.wait_for()
        page.locator(".preferences summary").click()
        look("for you", page)
        page.goto("/")
        page.locator(".films").get_by_role("link", name="Casablanca").click()
        page.locator(".time").first.wait_for()
        page.get_by_role("button", name="Write a review").click()
        look("film", page)
    with visitor(browser, server, **options) as page:
        page.goto("/sign-in")
        sign_in_as(page, "staff")
        page.goto("/staff/sales")
        page.get_by_label("Cinema").select_option(label="Kino Aurora, Berlin")
        page.get_by_role("button", name="Open the till").wait_for()
        look("till", page)
        page.goto("/staff/scan")
        page.get_by_label("Code by hand").fill("nonsense")
        page.keyboard.press("Enter")
        page.locator(".verdict.refused").wait_for()
        look("scanner", page)
    with visitor(browser, server, **options) as page:
        page.goto("/sign-in")
        sign_in_as(page, "admin")
        page.goto("/staff/bookings")
        page.get_by_label("E-mail").fill("customer@cinema.example")
        page.get_by_role("button", name="Find").click()
        page.locator(".rows li").first.wait_for()
        look("found bookings", page)
        page.locator(".rows a").first.click()
        page.get_by_role("button", name="Add the note").wait_for()
        page.locator(".office-main .sum").wait_for()
        look("found booking", page)
        page.goto("/manage/promo-codes")
        page.get_by_role("button", name="Add a code").wait_for()
        page.locator(".office-main > *").first.wait_for()
        look("promo codes", page)
        for report in ("revenue", "capacity", "occupancy", "popular"):
            page.goto(f"/manage/reports?report={report}")
            page.locator(".figures").wait_for()
            page.locator(".report .sheet, .report .empty").first.wait_for()
            look(f"report: {report}", page)
        page.goto("/admin/users")
        page.get_by_role("button", name="Change: staff@cinema.example").click()
        page.get_by_role("button", name="Set role and cinemas").wait_for()
        look("an account", page)
        page.keyboard.press("Escape")
        look("accounts", page)
        page.goto("/admin/live")
        page.locator(".minutes").wait_for()
        look("live", page)
        page.goto("/admin/reviews")
        page.locator(".rows, .empty").first.wait_for()
        look("moderation", page)
    with visitor(browser, server, **options) as page:
        page.goto("/sign-in")
        sign_in_as(page, "admin")
        look_at_catalogue(page, look)
        look_at_planning(page, look)
        look_at_days(page, Backstage(page, server), look)
    assert found == {}


def look_at_catalogue(page: Page, look: Callable[[str, Page], None]) -> None:
    page.goto("/admin/films")
    page.locator(".rows li").first.wait_for()
    look("films", page)
    page.locator(".rows a").first.click()
    page.get_by_label("Choose a picture").wait_for()
    look("a film", page)
    page.goto("/admin/films/new")
    page.get_by_label("Title").wait_for()
    look("a new film", page)
    page.goto("/admin/cinemas")
    page.get_by_role("button", name="Change: Kino Aurora").click()
    page.get_by_role("dialog").get_by_label("City").wait_for()
    look("a cinema", page)
    page.keyboard.press("Escape")
    look("cinemas", page)
    page.goto("/admin/webhooks")
    page.locator(".rows, .empty").first.wait_for()
    look("webhooks", page)
    page.goto("/admin/audit")
    page.locator(".rows, .empty").first.wait_for()
    look("audit log", page)
    page.goto("/manage/screens")
    page.get_by_label("Cinema").select_option(label="Kino Aurora, Berlin")
    page.locator(".rows li").first.wait_for()
    look("screens", page)
    page.locator(".rows a").first.click()
    page.get_by_role("gridcell").first.click()
    page.get_by_text("Import a plan of pretix").click()
    look("seat plan", page)


def look_at_planning(page: Page, look: Callable[[str, Page], None]) -> None:
    # Late in the evening nothing is left of today.
    day = (datetime.now(UTC).date() + timedelta(days=2)).isoformat()
    page.goto(f"/manage/timetable?day={day}")
    page.locator(".board-show").first.wait_for()
    page.get_by_text("Have a plan made").click()
    page.get_by_text("Films to drag").click()
    look("timetable", page)
    page.get_by_role("button", name="Add a showtime", exact=True).click()
    page.get_by_label("Start").wait_for()
    look("a new showtime", page)
    page.goto("/manage/prices")
    page.get_by_role("button", name="Add a ticket type").wait_for()
    page.get_by_label("Day", exact=True).fill(day)
    page.get_by_label("Showtime").locator("option").first.wait_for(state="attached")
    page.get_by_role("button", name="Calculate").click()
    page.locator(".explained").wait_for()
    look("prices", page)
    page.get_by_role("button", name="Add a rule").click()
    page.get_by_label("Value").wait_for()
    look("a price rule", page)


def look_at_days(page: Page, backstage: Backstage, look: Callable[[str, Page], None]) -> None:
    house = House(backstage)
    opening = {"amount": 5000, "currency": "EUR"}

    def count(session: dict[str, Any]) -> None:
        path = f"cash-sessions/{session['id']}/close"
        backstage.ask("admin", "POST", path, {"counted": opening})

    for till in ("Bar", "Foyer"):
        body = {"cinema_id": house.cinema_id, "till": till, "opening": opening}
        session = backstage.ask("admin", "POST", "cash-sessions", body)
        if till == "Bar":
            count(session)
            day = f"cinemas/{house.cinema_id}/business-days/{session['business_date']}"
            backstage.ask("admin", "POST", f"{day}/close")
    page.goto("/manage/cash-days")
    page.get_by_label("Cinema").select_option(label=house.label)
    page.get_by_text("Close these tills first: Foyer").wait_for()
    look("cash days", page)
    # Nobody has two of them open, and there is one admin.
    count(session)
    page.get_by_role("link", name="Show the report: Report 1").click()
    page.get_by_role("heading", name="Report 1").wait_for()
    look("report of a day", page)
    page.goto("/admin/messages")
    page.locator(".mail h3").wait_for()
    page.locator(".rows, .empty").first.wait_for()
    look("messages", page)
    house.showtime()
    page.goto(f"/manage/timetable?day={house.day()}")
    page.locator(".board-show").click()
    page.get_by_role("button", name="Waiting room").click()
    page.get_by_label("Waiting room").select_option("by_load")
    look("a waiting room", page)


def test_the_link_in_a_mail_turns_its_kind_off_and_on_again(
    browser: Browser, server: ServerProcess
) -> None:
    with visitor(browser, server) as page:
        site = page.request.get("/api/v1/site").json()["data"]
        (admin,) = [one for one in site["demo_accounts"] if one["role"] == "admin"]
        login = {"email": admin["email"], "password": admin["password"]}
        made = page.request.post("/api/v1/auth/login", data=login).json()["data"]
        preview = page.request.get(
            "/api/v1/admin/messages/preview?kind=booking_reminder",
            headers={"Authorization": f"Bearer {made['access_token']}"},
        )
        text = preview.json()["data"]["text"]
        (link,) = re.findall(r"/messages/off#token=\S+", text)
        page.goto(link)
        page.get_by_role("button", name="Turn them off").click()
        page.get_by_text("we do not send you these: reminders before a film").wait_for()
        page.get_by_role("button", name="Turn them on again").click()
        page.get_by_text("We send you these again").wait_for()
        page.goto("/messages/off?cut#token=AAAA")
        page.get_by_role("button", name="Turn them off").click()
        page.get_by_text("This link is not whole").wait_for()


def test_every_file_that_a_browser_loads_is_compressed_beforehand(pages: Path) -> None:
    manifest = json.loads((pages / ".vite" / "manifest.json").read_text())
    for entry in manifest.values():
        path = pages / entry["file"]
        if path.suffix in {".js", ".css"} and path.stat().st_size >= 1024:
            assert path.with_name(path.name + ".br").is_file()
            assert path.with_name(path.name + ".gz").is_file()
