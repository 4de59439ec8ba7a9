"""Paying by card: what is declined, asked for by a bank, loaded anew, or away for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.backstage import Backstage
from tests.browser.steps import hold, sign_in_as
from tests.browser.stripe import (
    ASKS_3DS,
    CARD,
    DECLINED,
    PUBLISHABLE_KEY,
    SECRET_KEY,
    WEBHOOK_SECRET,
    StripeAtHand,
    double_of_stripe,
)
from tests.browser.windows import visitor
from tests.support.server_process import ServerProcess, free_port


class Shop(NamedTuple):
    server: ServerProcess
    double: str


@pytest.fixture(scope="module")
def shop(pages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A server that takes cards."""
    assert pages.is_dir()
    port = free_port()
    with double_of_stripe(f"http://127.0.0.1:{port}") as double, ThreadPoolExecutor(1) as thread:
        server = ServerProcess(
            tmp_path_factory.mktemp("cards") / "data",
            port,
            DEMO_DATA="true",
            GUESTS_PER_HOUR_PER_ADDRESS="1000",
            LEASE_MS="1000",
            STRIPE_API_BASE=double,
            STRIPE_SECRET_KEY=SECRET_KEY,
            STRIPE_PUBLISHABLE_KEY=PUBLISHABLE_KEY,
            STRIPE_WEBHOOK_SECRET=WEBHOOK_SECRET,
        )
        # The browser's loop runs in this thread.
        try:
            thread.submit(asyncio.run, server.start()).result()
            yield Shop(server, double)
        finally:
            thread.submit(asyncio.run, server.stop()).result()


@pytest.fixture
def page(browser: Browser, shop: Shop) -> Iterator[Page]:
    with visitor(browser, shop.server) as opened:
        yield opened


@pytest.fixture
def backstage(page: Page, shop: Shop) -> Backstage:
    return Backstage(page, shop.server)


@pytest.fixture
def stripe(page: Page, shop: Shop) -> StripeAtHand:
    return StripeAtHand(page, shop.double)


def _to_the_checkout(page: Page, showtime_id: str) -> None:
    page.goto(f"/showtimes/{showtime_id}")
    page.locator(".line.live").wait_for()
    hold(page, ["A1"])


def _go_on(page: Page) -> None:
    page.get_by_role("button", name="Go on to pay").click()
    page.get_by_role("heading", name="Your card").wait_for()


def _press_pay(page: Page) -> None:
    """By keyboard: on a busy machine a click can end up in the frame that was just scrolled to."""
    button = page.get_by_role("button", name="Pay €")
    expect(button).to_be_enabled()
    button.press("Enter")


def _pay_with(page: Page, number: str) -> None:
    frame = page.frame_locator("iframe[title='Secure fields for a card']")
    frame.get_by_label("Card number").fill(number)
    _press_pay(page)


def _bookings(backstage: Backstage, showtime_id: str) -> list[str]:
    bookings = backstage.ask("customer", "GET", "bookings?when=upcoming&limit=100")
    return [one["id"] for one in bookings if one["showtime_id"] == showtime_id]


def test_a_guest_pays_by_card_and_stripe_is_asked_at_the_checkout_alone(
    page: Page, backstage: Backstage, stripe: StripeAtHand
) -> None:
    _to_the_checkout(page, backstage.showtime(4))
    assert stripe.asked == []
    assert "#" not in page.url
    page.get_by_label("E-mail").fill("guest@cinema.example")
    _go_on(page)
    _pay_with(page, CARD)
    page.get_by_role("heading", name="Enjoy the film!").wait_for()
    expect(page.locator(".ticket .big")).to_have_text("A1")
    assert "js.stripe.com/endive/stripe.js" in stripe.asked


def test_a_declined_card_keeps_the_seats_and_a_reload_makes_no_second_booking(
    page: Page, backstage: Backstage, stripe: StripeAtHand
) -> None:
    showtime_id = backstage.showtime(4)
    page.goto("/sign-in")
    sign_in_as(page, "customer")
    _to_the_checkout(page, showtime_id)
    _go_on(page)
    _pay_with(page, DECLINED)
    told = page.get_by_role("alert")
    expect(told).to_contain_text("Your card was declined. Nothing was paid")
    page.reload()
    page.get_by_role("heading", name="Your card").wait_for()
    expect(told).to_contain_text("Your card was declined.")
    _pay_with(page, CARD)
    page.get_by_role("heading", name="Enjoy the film!").wait_for()
    (booking_id,) = _bookings(backstage, showtime_id)
    assert [one for one in stripe.intents() if booking_id in one] == [f"{booking_id} succeeded"]


def test_the_bank_asks_on_a_page_of_its_own_and_sends_back(
    page: Page, backstage: Backstage, stripe: StripeAtHand
) -> None:
    showtime_id = backstage.showtime(4)
    page.goto("/sign-in")
    sign_in_as(page, "customer")
    _to_the_checkout(page, showtime_id)
    _go_on(page)
    _pay_with(page, ASKS_3DS)
    page.get_by_role("button", name="It is not me").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was paid")
    _pay_with(page, ASKS_3DS)
    page.get_by_role("button", name="It is me").click()
    page.get_by_role("heading", name="Enjoy the film!").wait_for()
    (booking_id,) = _bookings(backstage, showtime_id)
    assert f"{booking_id} succeeded" in stripe.intents()


def test_a_guest_who_comes_back_from_the_bank_is_told_and_gets_a_mail(
    page: Page, backstage: Backstage, stripe: StripeAtHand
) -> None:
    email = f"{uuid4()}@example.com"
    _to_the_checkout(page, backstage.showtime(4))
    page.get_by_label("E-mail").fill(email)
    _go_on(page)
    _pay_with(page, ASKS_3DS)
    page.get_by_role("button", name="It is me").click()
    page.get_by_role("heading", name="Thank you").wait_for()
    assert "hooks.stripe.com/bank" in stripe.asked
    page.goto(backstage.link_to(email, "/orders/"))
    expect(page.locator(".ticket .big")).to_have_text("A1")


@pytest.mark.usefixtures("stripe")
def test_a_gift_card_pays_a_part_and_a_card_the_rest(page: Page, backstage: Backstage) -> None:
    showtime_id = backstage.showtime(4)
    showtime = backstage.ask("manager", "GET", f"showtimes/{showtime_id}")
    body = {
        "cinema_id": showtime["cinema_id"],
        "amount": {"amount": 400, "currency": showtime["base_price"]["currency"]},
        "payment": {"method": "free"},
    }
    code = backstage.ask("manager", "POST", "gift-cards", body)["cards"][0]["code"]
    page.goto("/sign-in")
    sign_in_as(page, "customer")
    _to_the_checkout(page, showtime_id)
    _go_on(page)
    page.get_by_label("Gift card").fill(code)
    page.get_by_role("button", name="Look up").click()
    page.get_by_role("button", name="Pay €4.00 with the gift card").click()
    page.get_by_role("heading", name="A part is paid").wait_for()
    _pay_with(page, CARD)
    page.get_by_role("heading", name="Enjoy the film!").wait_for()


def test_without_stripe_nothing_is_lost_and_it_is_tried_again(
    page: Page, backstage: Backstage, stripe: StripeAtHand
) -> None:
    stripe.is_away = True
    _to_the_checkout(page, backstage.showtime(4))
    page.get_by_label("E-mail").fill("guest@cinema.example")
    _go_on(page)
    page.get_by_text("The fields for your card did not come.").wait_for()
    stripe.is_away = False
    page.get_by_role("button", name="Try again").click()
    _pay_with(page, CARD)
    page.get_by_role("heading", name="Enjoy the film!").wait_for()


@pytest.mark.usefixtures("stripe")
def test_the_demo_can_be_chosen_beside_the_card(page: Page, backstage: Backstage) -> None:
    page.goto("/sign-in")
    sign_in_as(page, "customer")
    _to_the_checkout(page, backstage.showtime(4))
    page.get_by_label("demo payment").check()
    _press_pay(page)
    page.get_by_role("heading", name="Enjoy the film!").wait_for()


@pytest.mark.usefixtures("stripe")
def test_a_link_makes_nobody_the_guest_of_its_maker(page: Page, backstage: Backstage) -> None:
    showtime_id = backstage.showtime(4)
    made = page.request.post("/api/v1/auth/guest").json()["data"]
    page.goto(f"/showtimes/{showtime_id}/checkout#guest=1-2-3-4.{made['access_token']}")
    page.get_by_role("link", name="Choose seats again").click()
    page.locator(".line.live").wait_for()
    assert "#" not in page.url
    with page.expect_request("**/holds") as held:
        hold(page, ["A1"])
    assert held.value.headers["authorization"] != f"Bearer {made['access_token']}"
