"""What is sold out, or nearly, says so before anybody has opened its seat map."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.backstage import FILM, Backstage
from tests.browser.houses import House


def test_full_showtimes_and_films_are_marked(page: Page, backstage: Backstage) -> None:
    house = House(backstage)
    full, nearly = house.showtime(), house.showtime(ahead=4)
    rows = {row: [f"{row}{number}" for number in range(1, 5)] for row in "ABC"}
    for row in "ABC":
        backstage.book("customer", full["id"], *rows[row])
    for row in "AB":
        backstage.book("customer", nearly["id"], *rows[row])
    for day, words in ((house.day(), "Sold out"), (house.day(4), "Few left")):
        page.goto(f"/films/{house.movie_id}?day={day}")
        here = page.locator(".at-cinema").filter(has_text=house.label)
        expect(here.get_by_role("link", name=words)).to_be_visible()
        page.goto(f"/?cinema={house.cinema_id}&date={day}")
        expect(page.get_by_role("link", name=FILM)).to_contain_text(words)
    page.goto(f"/?cinema={house.cinema_id}")
    expect(page.get_by_role("link", name=FILM)).to_contain_text("Few left")
