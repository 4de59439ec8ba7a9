"""A race for a seat, a line that is cut, the back button, a second tab: each has a way on."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, Page, WebSocketRoute, expect

from tests.browser.backstage import Backstage
from tests.browser.steps import (
    a_row_of,
    choose,
    hold,
    hold_best,
    open_seats,
    pay_as_guest,
    seat,
    sign_in_as,
)
from tests.browser.windows import visitor
from tests.support.server_process import ServerProcess


def test_of_two_who_press_at_the_same_moment_one_pays_and_the_other_chooses_again(
    browser: Browser, server: ServerProcess, page: Page, backstage: Backstage
) -> None:
    address = f"/showtimes/{backstage.showtime(8)}"
    with visitor(browser, server) as other:
        for one in (page, other):
            one.goto(address)
            one.locator(".line.live").wait_for()
            choose(one, ["A1"])
        for one in (page, other):
            # Neither waits for what becomes of it.
            one.evaluate("() => document.querySelector('.tray .button:not(.quiet)').click()")
        ends = ".sum .total, .tray-notes .warning"
        for one in (page, other):
            one.locator(ends).first.wait_for()
        winners = [one for one in (page, other) if one.locator(".sum .total").count()]
        assert len(winners) == 1
        (loser,) = {page, other} - set(winners)
        expect(loser.locator(".tray-notes")).to_contain_text("A1 was just taken")
        hold(loser, ["A2"])


def test_a_line_that_is_cut_heals_and_says_what_was_missed(
    page: Page, backstage: Backstage
) -> None:
    showtime_id = backstage.showtime(8)
    lines: list[WebSocketRoute] = []
    is_cut = False

    def connect(line: WebSocketRoute) -> None:
        if is_cut:
            line.close()
            return
        line.connect_to_server()
        lines.append(line)

    page.route_web_socket("**/watch*", connect)
    page.goto(f"/showtimes/{showtime_id}")
    page.locator(".line.live").wait_for()
    choose(page, ["A1"])
    is_cut = True
    lines[-1].close()
    page.locator(".line.lost").wait_for()
    expect(page.get_by_role("button", name="Continue")).to_be_disabled()
    backstage.hold("manager", showtime_id, "A1")
    is_cut = False
    page.locator(".line.live").wait_for()
    assert len(lines) == 2
    expect(page.locator(".tray-notes")).to_contain_text("A1 was just taken by somebody else.")
    expect(seat(page, "A1")).to_have_attribute("aria-disabled", "true")
    hold(page, ["A2", "A3"])


def test_the_back_button_leads_from_the_checkout_to_the_seats_and_forward_again(
    page: Page,
) -> None:
    open_seats(page)
    labels = hold_best(page, 2)
    page.go_back()
    page.get_by_text("You are keeping").wait_for()
    for label in labels:
        expect(seat(page, label)).to_have_class(re.compile(r"\bmine\b"))
    page.go_forward()
    page.locator(".sum .total").wait_for()
    pay_as_guest(page, "guest@cinema.example")
    # What is paid is no checkout any more, whatever button is pressed.
    page.go_back()
    page.locator(".line.live").wait_for()
    expect(page.get_by_role("button", name="Continue")).to_be_disabled()
    page.go_forward()
    expect(page.locator(".ticket .big")).to_have_text(", ".join(labels))


def test_a_second_tab_buys_for_itself_and_signing_out_in_one_is_met_in_the_other(
    page: Page, backstage: Backstage
) -> None:
    address = f"/showtimes/{backstage.showtime(12)}"
    page.goto("/sign-in")
    sign_in_as(page, "customer")
    other = page.context.new_page()
    for one in (page, other):
        one.goto(address)
        one.locator(".line.live").wait_for()
    first = a_row_of(page, 2)
    hold(page, first)
    expect(seat(other, first[0])).to_have_attribute("aria-disabled", "true")
    second = hold_best(other, 2)
    for one, labels in ((page, first), (other, second)):
        one.get_by_role("button", name="Pay ").click()
        one.get_by_role("heading", name="Enjoy the film!").wait_for()
        expect(one.locator(".ticket .big")).to_have_text(", ".join(labels))
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name="Sign in").wait_for()
    other.reload()
    other.get_by_role("heading", level=1).wait_for()
    other.locator("main").get_by_role("link", name="Sign in").wait_for()


def test_a_map_can_be_made_larger_and_fitted_again(page: Page) -> None:
    open_seats(page)
    before = page.locator("svg.map").evaluate("one => one.clientWidth")
    page.get_by_role("button", name="Larger").click()
    page.wait_for_function(
        "least => document.querySelector('svg.map').clientWidth > least", arg=before
    )
    page.get_by_role("button", name="Fit").click()
    page.wait_for_function(
        "() => { const frame = document.querySelector('.map-scroll');"
        " return document.querySelector('svg.map').clientWidth <= frame.clientWidth; }"
    )
