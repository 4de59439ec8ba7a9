"""What is sold out, or nearly, says so before anybody has opened its seat map."""

from __future__ import annotations

from typing import Literal

from playwright.sync_api import Browser, expect

from tests.browser.backstage import FILM, Backstage
from tests.browser.houses import House
from tests.browser.pages import faults_of
from tests.browser.windows import visitor
from tests.support.server_process import ServerProcess

THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def test_full_showtimes_and_films_are_marked(
    browser: Browser, server: ServerProcess, backstage: Backstage
) -> None:
    house = House(backstage)
    full, nearly = house.showtime(), house.showtime(ahead=4)
    rows = {row: [f"{row}{number}" for number in range(1, 5)] for row in "ABC"}
    for row in "ABC":
        backstage.book("customer", full["id"], *rows[row])
    for row in "AB":
        backstage.book("customer", nearly["id"], *rows[row])
    narrow = {"viewport": {"width": 390, "height": 900}, "bypass_csp": True}
    found = []
    with visitor(browser, server, **narrow) as page:
        for day, words in ((house.day(), "Sold out"), (house.day(4), "Few left")):
            page.goto(f"/films/{house.movie_id}?day={day}")
            here = page.locator(".at-cinema").filter(has_text=house.label)
            expect(here.get_by_role("link", name=words)).to_be_visible()
            for theme in THEMES:
                page.emulate_media(color_scheme=theme)
                found += faults_of(page)
            page.goto(f"/?cinema={house.cinema_id}&date={day}")
            expect(page.get_by_role("link", name=FILM)).to_contain_text(words)
            for theme in THEMES:
                page.emulate_media(color_scheme=theme)
                found += faults_of(page)
        page.goto(f"/?cinema={house.cinema_id}")
        expect(page.get_by_role("link", name=FILM)).to_contain_text("Few left")
    assert found == []
