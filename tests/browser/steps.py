"""What a visitor does, in the words of the page."""

from __future__ import annotations

from playwright.sync_api import Locator, Page

FREE = "[data-seat].available"


def open_seats(page: Page, film: str = "Casablanca", time: int = 0) -> str:
    """From the first page to a seat map that is live; its address."""
    page.goto("/")
    page.locator(".films").get_by_role("link", name=film).click()
    page.locator(".time").nth(time).click()
    page.locator(".line.live").wait_for()
    page.locator(FREE).first.wait_for()
    return page.url


def seat(page: Page, label: str) -> Locator:
    """One seat of the map."""
    return page.locator(f'[data-seat="{label}"]')


def a_row_of(page: Page, count: int) -> list[str]:
    """Free seats from the left end of a row, so that none is left alone."""
    rows: dict[str, list[str]] = {}
    for label in page.locator("[data-seat]").evaluate_all(
        "all => all.map((one) => one.dataset.seat)"
    ):
        rows.setdefault(label.rstrip("0123456789"), []).append(label)
    free = set(page.locator(FREE).evaluate_all("all => all.map((one) => one.dataset.seat)"))
    for row in sorted(rows, reverse=True):
        if len(rows[row]) >= count + 2 and free.issuperset(rows[row][: count + 2]):
            return rows[row][:count]
    raise AssertionError("the room is full")


def choose(page: Page, labels: list[str]) -> None:
    for label in labels:
        seat(page, label).click()
    page.get_by_text(", ".join(labels)).wait_for()


def hold(page: Page, labels: list[str]) -> None:
    """From the seat map to the checkout."""
    choose(page, labels)
    page.get_by_role("button", name="Continue").click()
    page.locator(".sum .total").wait_for()


def hold_best(page: Page, count: int) -> list[str]:
    """From the seat map to the checkout, with the seats that the server finds best."""
    page.get_by_label("How many?").select_option(str(count))
    page.get_by_role("button", name="Find the best seats").click()
    page.get_by_role("link", name="Go on to pay").click()
    page.locator(".sum .total").wait_for()
    return page.locator(".seat-name").all_inner_texts()


def pay_as_guest(page: Page, email: str) -> None:
    page.get_by_label("E-mail").fill(email)
    page.get_by_role("button", name="Pay ").click()
    page.get_by_role("heading", name="Enjoy the film!").wait_for()


def sign_in(page: Page, email: str, password: str) -> None:
    page.goto("/sign-in")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("button", name="Sign out").wait_for()


def sign_in_as(page: Page, role: str) -> None:
    page.get_by_role("button", name=f"Sign in as {role}").click()
    page.get_by_role("button", name="Sign out").wait_for()


def go_to_work(page: Page, link: str, title: str, cinema: str = "Kino Aurora, Berlin") -> None:
    """To a page of staff, for one cinema; the page before has a choice of cinemas too."""
    page.get_by_role("navigation", name="For staff").get_by_role("link", name=link).click()
    page.get_by_role("heading", name=title, level=1, exact=True).wait_for()
    page.get_by_role("combobox", name="Cinema").select_option(label=cinema)


def is_kept(page: Page, address: str) -> bool:
    """Whether that page starts without a connection by now; a promise alone says nothing."""
    state = (
        "(scope) => navigator.serviceWorker.getRegistration(scope)"
        ".then((one) => one?.active?.state ?? null)"
    )
    return page.evaluate(state, address) == "activated"
