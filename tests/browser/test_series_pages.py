"""A series: the same seats of several showtimes, chosen, paid at once, seen and given back."""

from __future__ import annotations

import re
from typing import Any, Literal

from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.backstage import FILM, Backstage
from tests.browser.houses import House
from tests.browser.pages import faults_of
from tests.browser.steps import choose, seat, sign_in
from tests.browser.windows import visitor
from tests.support.server_process import ServerProcess

THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
DAYS = (3, 4, 5)


def _evenings(backstage: Backstage) -> tuple[House, list[dict[str, Any]]]:
    house = House(backstage)
    return house, [house.showtime(ahead) for ahead in DAYS]


def _choose_times(page: Page, house: House, count: int) -> None:
    """From the page of the film to the seats of its first showtimes."""
    page.goto(f"/films/{house.movie_id}?day={house.day(DAYS[0])}")
    here = page.locator(".at-cinema").filter(has_text=house.label)
    here.get_by_role("link", name="The same seats at several times").click()
    for n in range(count):
        page.get_by_role("checkbox", name=FILM).nth(n).check()
    page.get_by_text(f"{count} chosen").wait_for()
    page.locator("[data-seat]").first.wait_for()


def _to_paying(page: Page, labels: list[str]) -> None:
    choose(page, labels)
    page.get_by_role("button", name="Continue").click()
    page.locator(".series-pay .total").wait_for()


def _bookings(page: Page) -> Locator:
    return page.locator(".booking-card")


def _taken(backstage: Backstage, showtime: dict[str, Any]) -> dict[str, str]:
    seats = backstage.ask("admin", "GET", f"showtimes/{showtime['id']}/seats")["seats"]
    return {one["label"]: one["status"] for one in seats if one["status"] != "available"}


def test_a_series_is_paid_at_once_seen_among_the_bookings_and_given_back(
    page: Page, backstage: Backstage
) -> None:
    house, shows = _evenings(backstage)
    # What is sold at one of them is not free for all of them.
    backstage.book("customer", shows[1]["id"], "A1", "A2")
    sign_in(page, *backstage.account())
    _choose_times(page, house, 3)
    expect(seat(page, "A1")).to_have_class(re.compile(r"\bbooked\b"))
    expect(seat(page, "B1")).to_have_attribute("aria-label", re.compile("€30.00, available"))
    _to_paying(page, ["B1", "B2"])
    expect(page.locator(".series-pay .sum")).to_contain_text("€60.00")
    # Two clicks make one series.
    page.get_by_role("button", name="Pay €60.00").dblclick()
    page.get_by_role("heading", name="Enjoy the film!").wait_for()
    expect(_bookings(page)).to_have_count(3)
    for show in shows:
        assert _taken(backstage, show)["B1"] == "booked"
    page.get_by_role("link", name="My bookings").click()
    # Each is a booking like any other.
    expect(_bookings(page)).to_have_count(3)
    page.get_by_role("link", name="Series", exact=True).click()
    rows = page.locator(".rows li")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text(f"{FILM}, 3 times")
    rows.get_by_role("link", name="Show").click()
    page.get_by_role("button", name="Cancel all of it").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".total")).to_contain_text("€60.00")
    dialog.get_by_role("button", name="Cancel and get €60.00 back").click()
    expect(page.get_by_role("button", name="Cancel all of it")).to_have_count(0)
    expect(_bookings(page).filter(has_text="cancelled")).to_have_count(3)
    assert [_taken(backstage, show) for show in shows] == [{}, {"A1": "booked", "A2": "booked"}, {}]


def test_a_seat_that_somebody_else_takes_meanwhile_is_named_and_nothing_is_booked(
    page: Page, backstage: Backstage
) -> None:
    house, shows = _evenings(backstage)
    sign_in(page, *backstage.account())
    _choose_times(page, house, 2)
    _to_paying(page, ["B1", "B2"])
    backstage.book("customer", shows[1]["id"], "B1")
    page.get_by_role("button", name="Pay ").click()
    expect(page.get_by_role("alert")).to_contain_text(f"{FILM}, ")
    expect(page.get_by_role("alert")).to_contain_text("B1 was just taken")
    assert _taken(backstage, shows[0]) == {}
    page.get_by_role("button", name="Other seats").click()
    expect(seat(page, "B1")).to_have_class(re.compile(r"\bbooked\b"))
    expect(page.locator(".tray-notes")).to_contain_text("B1 was just taken")
    seat(page, "B2").click()
    _to_paying(page, ["C1", "C2"])
    page.get_by_role("button", name="Pay ").click()
    page.get_by_role("heading", name="Enjoy the film!").wait_for()
    assert _taken(backstage, shows[0]) == {"C1": "booked", "C2": "booked"}


def test_who_has_to_sign_in_first_keeps_the_times_and_the_seats(
    browser: Browser, server: ServerProcess, backstage: Backstage
) -> None:
    house, _ = _evenings(backstage)
    email, password = backstage.account()
    found = []
    narrow = {"viewport": {"width": 390, "height": 900}, "bypass_csp": True}
    with visitor(browser, server, **narrow) as page:

        def look() -> None:
            for theme in THEMES:
                page.emulate_media(color_scheme=theme)
                found.extend(faults_of(page))

        _choose_times(page, house, 2)
        look()
        _to_paying(page, ["A1", "A2"])
        look()
        page.get_by_role("link", name="Sign in to pay").click()
        page.get_by_label("E-mail").fill(email)
        page.get_by_label("Password", exact=True).fill(password)
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page.locator(".series-pay .sum")).to_contain_text("€40.00")
        page.reload()
        page.get_by_role("button", name="Pay €40.00").click()
        page.get_by_role("heading", name="Enjoy the film!").wait_for()
        expect(page.locator(".booking-card h2", has_text=FILM)).to_have_count(2)
        look()
        page.get_by_role("button", name="Cancel all of it").click()
        expect(page.get_by_role("dialog").locator(".total")).to_contain_text("€40.00")
        look()
        page.get_by_role("button", name="Keep it").click()
        page.goto("/bookings/series")
        page.locator(".rows li", has_text=FILM).wait_for()
        look()
    assert found == []
