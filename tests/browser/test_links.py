"""The pages that links of mails lead to."""

from __future__ import annotations

from uuid import uuid4
from zipfile import ZipFile

from playwright.sync_api import Page, expect

from tests.browser.backstage import Backstage
from tests.browser.steps import hold, pay_as_guest, sign_in_as


def test_a_guest_sees_the_booking_by_its_link_and_gives_one_seat_back(
    page: Page, backstage: Backstage
) -> None:
    email = f"{uuid4()}@example.com"
    labels = ["A1", "A2"]
    page.goto(f"/showtimes/{backstage.showtime(4)}")
    page.locator(".line.live").wait_for()
    hold(page, labels)
    pay_as_guest(page, email)
    page.goto(backstage.link_to(email, "/orders/"))
    expect(page.locator(".ticket .big")).to_have_text(", ".join(labels))
    page.get_by_role("button", name="Cancel booking").click()
    page.get_by_label(labels[0], exact=True).uncheck()
    page.get_by_text("You get ").wait_for()
    page.get_by_role("button", name=f"Cancel {labels[1]} and get ").click()
    expect(page.locator(".ticket .big")).to_have_text(labels[0])
    expect(page.locator(".status.confirmed")).to_be_visible()


def test_a_link_that_opens_nothing_has_a_way_on(page: Page) -> None:
    for end in ("", "#token=nonsense"):
        page.goto("/nowhere")
        page.goto(f"/orders/{uuid4()}{end}")
        page.get_by_role("heading", name="This link does not open a booking").wait_for()
    page.get_by_role("link", name="See what is on").click()
    page.locator(".film-card").first.wait_for()


def test_an_invitation_opens_an_account_with_its_role(page: Page, backstage: Backstage) -> None:
    email = f"{uuid4()}@example.com"
    cinemas = [one["id"] for one in backstage.ask("admin", "GET", "cinemas")]
    invited = {"email": email, "role": "staff", "cinema_ids": cinemas[:1]}
    backstage.ask("admin", "POST", "admin/invitations", invited)
    link = backstage.link_to(email, "/accept-invitation")
    page.goto(link)
    page.get_by_label("First name").fill("Grace")
    page.get_by_label("New password").fill("password")
    page.get_by_role("button", name="Open the account").click()
    page.get_by_text("This password is too easy to guess").wait_for()
    page.get_by_label("New password").fill("a long enough one")
    page.get_by_role("button", name="Open the account").click()
    page.get_by_role("button", name="Sign out").wait_for()
    page.get_by_role("link", name="Account").click()
    expect(page.locator(".page-head")).to_contain_text(email)
    page.get_by_role("button", name="Sign out").first.click()
    page.goto(link)
    page.get_by_label("New password").fill("a long enough one")
    page.get_by_role("button", name="Open the account").click()
    page.get_by_text("This link is no longer valid").wait_for()


def test_an_export_is_asked_for_and_fetched_with_its_link(page: Page, backstage: Backstage) -> None:
    page.goto("/sign-in")
    sign_in_as(page, "customer")
    page.goto("/account?part=privacy")
    page.get_by_role("button", name="Ask for the file").click()
    page.get_by_text("The file is ready").wait_for()
    page.goto(backstage.link_to("customer@cinema.example", "/exports/"))
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the file").click()
    with ZipFile(download.value.path()) as archive:
        assert "profile.json" in archive.namelist()
    page.get_by_text("The file is in your downloads").wait_for()
