"""Reports: what was sold, as managers see it, and the same figures as a file."""

from __future__ import annotations

import csv
from datetime import date, timedelta

from playwright.sync_api import Browser, Page, expect

from tests.browser.backstage import Backstage
from tests.browser.steps import sign_in_as
from tests.browser.windows import visitor
from tests.support.server_process import ServerProcess

FILM = "The Godfather"


def _sold(backstage: Backstage) -> None:
    """A booking of a showtime of today, which the figures have."""
    path = f"showtimes/{backstage.showtime(4, starts_in=timedelta(minutes=20))}"
    showtime_id = path.rpartition("/")[2]
    backstage.book("customer", showtime_id, "A1", "A2")
    day = backstage.ask("manager", "GET", path)["starts_at"][:10]
    # The business day at the cinema may be the one before that of UTC, or the one after.
    report = f"admin/reports/capacity?from={_moved(day, -1)}&to={_moved(day, 1)}&group_by=showtime"

    def counted() -> bool:
        rows = backstage.ask("manager", "GET", report)
        return any(one["key"] == showtime_id and one["sold"] == 2 for one in rows)

    backstage.until(counted)


def _moved(day: str, days: int) -> str:
    return (date.fromisoformat(day) + timedelta(days=days)).isoformat()


def test_a_manager_reads_a_report_narrows_it_and_saves_it(page: Page, backstage: Backstage) -> None:
    _sold(backstage)
    page.goto("/sign-in")
    sign_in_as(page, "manager")
    page.get_by_role("navigation", name="For staff").get_by_role("link", name="Reports").click()
    page.get_by_role("heading", name="Last 7 days").wait_for()
    page.get_by_label("By", exact=True).select_option("movie")
    row = page.get_by_role("row").filter(has_text=FILM)
    # Whatever else is sold of it: what a row says is what the server says.
    page.get_by_label("From", exact=True).fill("2020-01-01")
    page.get_by_role("alert").wait_for()
    today = page.get_by_label("To", exact=True).input_value()
    page.get_by_label("From", exact=True).fill(_moved(today, -1))
    page.get_by_label("To", exact=True).fill(_moved(today, 1))
    expect(row).to_contain_text("€")
    assert "by=movie" in page.url
    assert f"from={_moved(today, -1)}" in page.url
    page.reload()
    expect(row).to_contain_text("€")
    page.get_by_role("link", name="Popular films").click()
    expect(row).to_be_visible()
    page.get_by_role("link", name="Occupancy").click()
    page.get_by_label("By", exact=True).select_option("movie")
    expect(row).to_contain_text("%")
    page.get_by_role("link", name="Capacity").click()
    page.get_by_label("By", exact=True).select_option("movie")
    expect(row.locator("td.number")).to_have_count(5)
    sold = row.locator("td.number").nth(2).inner_text()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    with download.value.path().open(newline="") as file:
        rows = {one["label"]: one for one in csv.DictReader(file)}
    assert rows[FILM]["sold"] == sold


def test_reports_of_another_cinema_are_not_shown(page: Page) -> None:
    page.goto("/sign-in")
    sign_in_as(page, "manager")
    page.goto("/manage/reports")
    cinema = page.get_by_label("Cinema")
    expect(cinema.locator("option").nth(1)).to_be_attached()
    choices = cinema.locator("option").all_inner_texts()[1:]
    other = next(one for one in choices if not one.startswith("Kino Aurora"))
    cinema.select_option(label=other)
    page.get_by_text("You do not work in this cinema.").wait_for()


def test_reports_are_there_in_german(browser: Browser, server: ServerProcess) -> None:
    with visitor(browser, server, locale="de-DE") as page:
        page.goto("/sign-in")
        page.get_by_role("button", name="Als Leitung anmelden").click()
        page.get_by_role("link", name="Berichte", exact=True).click()
        page.get_by_role("heading", name="Letzte 7 Tage").wait_for()
        page.get_by_role("button", name="Als CSV sichern").wait_for()
