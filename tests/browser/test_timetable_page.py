"""The timetable: showtimes by keys, by dragging and in a form, and the scheduler's plan."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from playwright.sync_api import Locator, Page, expect

from tests.browser.backstage import FILM, Backstage
from tests.browser.houses import ZONE, House
from tests.browser.steps import go_to_work, sign_in_as

PLAN_PATIENCE_MS = 240_000
"""A process of low priority starts and imports a solver, on a machine that tests keep busy."""


def _open(page: Page, house: House, day: str) -> None:
    page.goto("/sign-in")
    sign_in_as(page, "admin")
    go_to_work(page, "Timetable", "Timetable", cinema=house.label)
    page.get_by_label("Day", exact=True).fill(day)
    page.get_by_role("region", name="Screens and their showtimes").wait_for()


def _block(page: Page, time: str) -> Locator:
    return page.get_by_role("button", name=re.compile(f"^{time} "))


def _start(backstage: Backstage, showtime_id: str) -> datetime:
    found = backstage.ask("admin", "GET", f"showtimes/{showtime_id}")
    return datetime.fromisoformat(found["starts_at"])


def test_a_showtime_is_moved_by_keys_to_another_time_and_screen(
    page: Page, backstage: Backstage
) -> None:
    house = House(backstage)
    other = house.another_screen("Small hall")
    showtime = house.showtime()
    _open(page, house, house.day())
    _block(page, "18:00").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowDown")
    page.get_by_text(f"{FILM}: 18:35, Small hall.").wait_for()
    page.keyboard.press("Escape")
    _block(page, "18:00").wait_for()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name=FILM)
    expect(dialog.get_by_label("Start")).to_have_value("18:05")
    dialog.get_by_role("button", name="Save").click()
    _block(page, "18:05").wait_for()
    assert _start(backstage, showtime["id"]) - datetime.fromisoformat(
        showtime["starts_at"]
    ) == timedelta(minutes=5)
    now = backstage.ask("admin", "GET", f"showtimes/{showtime['id']}")
    assert now["screen_id"] == other["id"]


def test_a_showtime_is_dragged_and_cancelled(page: Page, backstage: Backstage) -> None:
    house = House(backstage)
    showtime = house.showtime()
    _open(page, house, house.day())
    block = _block(page, "18:00")
    block.scroll_into_view_if_needed()
    box = block.bounding_box()
    assert box is not None
    x, y = box["x"] + 10, box["y"] + 10
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 30, y, steps=4)
    page.mouse.up()
    dialog = page.get_by_role("dialog", name=FILM)
    field = dialog.get_by_label("Start")
    field.wait_for()
    time = field.input_value()
    assert time < "18:00"
    dialog.get_by_role("button", name="Save").click()
    _block(page, time).wait_for()
    assert _start(backstage, showtime["id"]).astimezone(ZONE).strftime("%H:%M") == time
    _block(page, time).click()
    dialog.get_by_role("button", name="Cancel the showtime").click()
    dialog.get_by_label("Reason").fill("The projector is broken.")
    dialog.get_by_role("button", name="Cancel it for everybody").click()
    expect(_block(page, time)).to_have_count(0)
    now = backstage.ask("admin", "GET", f"showtimes/{showtime['id']}")
    assert (now["status"], now["cancel_reason"]) == ("cancelled", "The projector is broken.")


def test_what_is_in_the_way_is_said_before_it_is_sent(page: Page, backstage: Backstage) -> None:
    house = House(backstage)
    house.showtime()
    _open(page, house, house.day())
    page.get_by_role("button", name="Add a showtime", exact=True).click()
    dialog = page.get_by_role("dialog", name="Add a showtime")
    dialog.get_by_label("Film").select_option(label="Casablanca")
    dialog.get_by_label("Price in EUR").fill("9,50")
    dialog.get_by_label("Start").fill("18:30")
    dialog.get_by_text(f"In the way, with the time to clean: 18:00 {FILM}").wait_for()
    dialog.get_by_role("button", name="Add a showtime").click()
    dialog.get_by_text("Another showtime is on this screen at that time.").wait_for()
    dialog.get_by_label("Start").fill("11:00")
    dialog.get_by_role("button", name="Add a showtime").click()
    _block(page, "11:00").wait_for()
    day = house.day()
    shown = backstage.ask("admin", "GET", f"showtimes?cinema_id={house.cinema_id}&date={day}")
    assert [one["base_price"]["amount"] for one in shown] == [950, 1000]


def test_a_film_is_dropped_on_its_time(page: Page, backstage: Backstage) -> None:
    house = House(backstage)
    _open(page, house, house.day())
    page.get_by_text("Films to drag").click()
    tracks = page.locator(".board-tracks")
    page.get_by_role("button", name="Casablanca").drag_to(
        tracks, target_position={"x": 100, "y": 20}
    )
    dialog = page.get_by_role("dialog", name="Add a showtime")
    expect(dialog.get_by_label("Film")).to_have_value(
        backstage.ask("admin", "GET", "movies?q=Casablanca")[0]["id"]
    )
    assert dialog.get_by_label("Start").input_value() < "13:00"


def test_a_plan_is_made_looked_at_and_applied(page: Page, backstage: Backstage) -> None:
    house = House(backstage)
    day = house.day(20)
    _open(page, house, day)
    page.get_by_text("Have a plan made").click()
    page.get_by_label("From", exact=True).fill(day)
    page.get_by_label("To", exact=True).fill(day)
    page.get_by_label("Price in EUR").fill("10")
    page.get_by_label("Seconds to look for it").fill("1")
    page.get_by_role("button", name="Make the plan").click()
    page.get_by_text("Say how many people want to see at least one film.").wait_for()
    page.get_by_label("Casablanca").fill("12")
    page.get_by_role("button", name="Make the plan").click()
    apply = page.get_by_role("button", name="Apply: add")
    apply.wait_for(timeout=PLAN_PATIENCE_MS)
    lines = page.locator(".difference li")
    count = lines.count()
    assert count > 0
    expect(page.get_by_role("button", name="New in the plan")).to_have_count(count)
    path = f"showtimes?cinema_id={house.cinema_id}&date={day}"
    assert backstage.ask("admin", "GET", path) == []
    apply.click()
    page.get_by_text("are in the timetable.").wait_for()
    expect(page.locator(".board-show")).to_have_count(count)
    assert len(backstage.ask("admin", "GET", path)) == count
