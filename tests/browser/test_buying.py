"""A visitor buys, and what may go wrong on the way has a way on."""

from __future__ import annotations

import asyncio
import re
import signal
from io import BytesIO

import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from cinema.features.tickets.rules import TOKEN_CHARS
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


def test_a_guest_buys_with_the_mouse(page: Page) -> None:
    open_seats(page)
    labels = a_row_of(page, 2)
    hold(page, labels)
    page.get_by_label(f"Ticket for {labels[0]}").select_option("child")
    pay_as_guest(page, "guest@cinema.example")
    expect(page.locator(".stub code")).to_have_text(re.compile("[A-Z0-9]{8}"))
    expect(page.locator(".ticket .big")).to_have_text(", ".join(labels))
    assert len(_code_on(page)) == TOKEN_CHARS


def test_a_customer_buys_with_the_keyboard_alone(page: Page) -> None:
    page.goto("/")
    page.locator(".film-card").first.wait_for()
    _tab_to(page, "Sign in")
    page.keyboard.press("Enter")
    demo = page.get_by_role("button", name="Sign in as customer")
    demo.wait_for()
    _tab_to(page, "Sign in as customer")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Sign out").wait_for()
    page.locator(".film-card").first.wait_for()
    _tab_to(page, "Casablanca")
    page.keyboard.press("Enter")
    page.locator(".time").first.wait_for()
    page.wait_for_function("() => document.activeElement.id === 'main'")
    _tab_to(page, "until")
    page.keyboard.press("Enter")
    page.locator(".line.live").wait_for()
    page.wait_for_function("() => document.activeElement.id === 'main'")
    _tab_to(page, "Row")
    page.keyboard.press("Control+End")
    first = _focused(page)
    page.keyboard.press("Space")
    page.keyboard.press("ArrowLeft")
    assert _focused(page) != first
    page.keyboard.press("Enter")
    expect(page.locator(".tray-text")).to_contain_text("2 seats")
    _tab_to(page, "Continue")
    page.keyboard.press("Enter")
    page.locator(".sum .total").wait_for()
    page.wait_for_function("() => document.activeElement.id === 'main'")
    expect(page.get_by_role("button", name="Pay ")).to_be_enabled()
    _tab_to(page, "Pay")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Enjoy the film!").wait_for()


def _focused(page: Page) -> str:
    text: str = page.evaluate(
        "() => { const one = document.activeElement;"
        " return one.getAttribute('aria-label') || one.textContent || ''; }"
    )
    return text


def _tab_to(page: Page, name: str) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if name in _focused(page):
            return
    raise AssertionError(f"no way to {name} with Tab")


def test_of_two_who_want_a_seat_one_gets_it_and_the_other_is_told(
    browser: Browser, server: ServerProcess, page: Page
) -> None:
    open_seats(page)
    (label,) = a_row_of(page, 1)
    with visitor(browser, server) as other:
        other.goto(page.url)
        other.locator(".line.live").wait_for()
        choose(other, [label])
        hold(page, [label])
        expect(other.locator(".tray-notes")).to_contain_text(
            f"{label} was just taken by somebody else."
        )
        expect(seat(other, label)).to_have_attribute("aria-disabled", "true")
        expect(other.get_by_role("button", name="Continue")).to_be_disabled()


def test_a_double_click_makes_one_booking(page: Page) -> None:
    page.goto("/sign-in")
    sign_in_as(page, "manager")
    open_seats(page)
    hold_best(page, 1)
    page.get_by_role("button", name="Pay ").dblclick()
    page.get_by_role("heading", name="Enjoy the film!").wait_for()
    page.get_by_role("link", name="My bookings").click()
    page.locator(".booking-card h2").first.wait_for()
    expect(page.locator(".booking-card")).to_have_count(1)


def test_a_hold_that_is_over_leads_back_to_the_seats(page: Page) -> None:
    url = open_seats(page)
    hold_best(page, 1)
    ended = {}

    def end(route, request):  # type: ignore[no-untyped-def]
        """Give the hold back behind the page's back, as its end would."""
        if not ended:
            ended["reply"] = page.request.delete(
                request.url, headers={"Authorization": request.headers["authorization"]}
            ).status
        route.continue_()

    page.route("**/holds/*", end)
    page.get_by_role("button", name="More time").click()
    page.get_by_role("heading", name="Your seats were given back").wait_for()
    assert ended["reply"] == 200
    page.get_by_role("link", name="Choose seats again").click()
    page.locator(".line.live").wait_for()
    assert page.url == url


def test_a_guest_who_loads_the_checkout_anew_is_told_and_led_back(page: Page) -> None:
    open_seats(page)
    hold_best(page, 1)
    page.reload()
    page.get_by_role("heading", name="We do not know you any more").wait_for()
    page.get_by_role("link", name="Choose seats again").click()
    page.locator(".line.live").wait_for()


def test_signing_in_at_the_checkout_keeps_the_seats(page: Page) -> None:
    open_seats(page)
    labels = hold_best(page, 2)
    page.get_by_role("link", name="Sign in, your seats stay yours").click()
    sign_in_as(page, "customer")
    page.locator(".sum .total").wait_for()
    expect(page.get_by_text("Signed in as")).to_be_visible()
    page.reload()
    page.get_by_role("button", name="Pay ").click()
    page.get_by_role("heading", name="Enjoy the film!").wait_for()
    expect(page.locator(".ticket .big")).to_have_text(", ".join(labels))


def test_a_booking_is_cancelled_after_the_refund_was_said(page: Page, backstage: Backstage) -> None:
    page.goto("/sign-in")
    sign_in_as(page, "customer")
    page.goto(f"/showtimes/{backstage.showtime(4)}")
    page.locator(".line.live").wait_for()
    hold_best(page, 1)
    page.get_by_role("button", name="Pay ").click()
    page.get_by_role("button", name="Cancel booking").click()
    page.get_by_text("You get ").wait_for()
    page.get_by_role("button", name="Cancel and get ").click()
    page.locator(".status.cancelled").wait_for()


def test_the_best_seats_can_be_found_and_given_back(page: Page) -> None:
    open_seats(page)
    page.get_by_label("How many?").select_option("3")
    page.get_by_role("button", name="Find the best seats").click()
    page.get_by_text("You are keeping").wait_for()
    expect(page.locator("[data-seat].mine")).to_have_count(3)
    # Other seats instead, whether they were chosen before or are chosen now.
    page.locator("[data-seat].available").first.click()
    page.get_by_label("How many?").select_option("2")
    page.get_by_role("button", name="Find the best seats").click()
    page.get_by_text("You are keeping").wait_for()
    expect(page.locator("[data-seat].mine")).to_have_count(2)
    page.get_by_role("button", name="Give back").click()
    expect(page.locator("[data-seat].mine")).to_have_count(0)


def test_an_open_seat_map_survives_a_restart_of_the_server(
    page: Page, server: ServerProcess
) -> None:
    open_seats(page)
    labels = a_row_of(page, 1)
    choose(page, labels)
    server.send(signal.SIGTERM)
    page.locator(".line.lost").wait_for()
    expect(page.get_by_role("button", name="Continue")).to_be_disabled()
    _in_a_thread(server)
    page.locator(".line.live").wait_for()
    page.get_by_role("button", name="Continue").click()
    page.locator(".sum .total").wait_for()


def _in_a_thread(server: ServerProcess) -> None:
    """Wait for its end and start it again, away from the loop that drives the browser."""
    from concurrent.futures import ThreadPoolExecutor

    async def restart() -> None:
        await server.ended()
        await server.start()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, restart()).result()


def test_search_and_filters_stand_in_the_address(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Search films").fill("metropolis")
    page.wait_for_url(re.compile(r"[?&]q=metropolis"))
    expect(page.locator(".film-card")).to_have_count(1)
    page.reload()
    expect(page.get_by_label("Search films")).to_have_value("metropolis")
    page.get_by_role("link", name="Clear the filters").click()
    expect(page.locator(".film-card")).not_to_have_count(1)


def test_the_pages_speak_german(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Language").select_option("de")
    page.get_by_role("heading", name="Heute Abend im Dunkeln").wait_for()
    assert page.locator("html").get_attribute("lang") == "de"


def test_an_unknown_address_has_a_way_on(page: Page) -> None:
    page.goto("/nowhere/at/all")
    page.get_by_role("link", name="See what is on").click()
    page.locator(".film-card").first.wait_for()


def _code_on(page: Page) -> str:
    """What a scanner reads from the screen."""
    picture = page.get_by_role("img", name="QR code of the tickets")
    picture.wait_for()
    (code,) = zxingcpp.read_barcodes(Image.open(BytesIO(picture.screenshot())))
    return str(code.text)
