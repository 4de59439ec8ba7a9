"""What managers and admins do; each role has its own pages."""

from __future__ import annotations

from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from tests.browser.backstage import Backstage
from tests.browser.steps import go_to_work, hold, sign_in_as


def test_a_promo_code_is_added_counts_and_is_switched_off(page: Page, backstage: Backstage) -> None:
    showtime_id = backstage.showtime(4)
    code = f"TEN-{uuid4().hex[:8].upper()}"
    page.goto("/sign-in")
    sign_in_as(page, "manager")
    go_to_work(page, "Promo codes", "Promo codes")
    page.get_by_label("Code", exact=True).fill(code)
    page.get_by_label("Takes off").fill("12,5")
    page.get_by_role("button", name="Add a code").click()
    row = page.locator("li").filter(has_text=code)
    expect(row).to_contain_text("12.5% off a booking")
    page.goto(f"/showtimes/{showtime_id}")
    page.locator(".line.live").wait_for()
    hold(page, ["A1"])
    page.get_by_label("Promo code").fill(code)
    page.get_by_role("button", name="Apply").click()
    expect(page.locator(".sum")).to_contain_text(f"Discount ({code})")
    page.get_by_role("link", name="Promo codes").click()
    page.get_by_role("button", name=f"Switch off: {code}").click()
    page.get_by_role("button", name=f"Switch on: {code}").wait_for()
    page.get_by_role("button", name=f"Delete: {code}").click()
    expect(row).to_have_count(0)


def test_an_admin_finds_an_account_disables_it_and_invites_another(
    page: Page, backstage: Backstage
) -> None:
    account = backstage.account()
    email, _ = account
    backstage.ask_of(account, "PUT", "auth/me/messages", {"off": ["refund_sent"]})
    page.goto("/sign-in")
    sign_in_as(page, "admin")
    page.get_by_role("link", name="Accounts").click()
    page.get_by_label("Beginning of the e-mail address").fill(email)
    page.get_by_role("button", name="Find").click()
    rows = page.locator(".rows li")
    expect(rows).to_have_count(1)
    rows.get_by_role("button").click()
    page.get_by_text("Turned off: mails about refunds.").wait_for()
    page.get_by_label("Role").last.select_option("staff")
    page.get_by_role("button", name="Set role and cinemas").click()
    # Its address is not confirmed.
    page.get_by_role("dialog").get_by_role("alert").wait_for()
    page.get_by_role("button", name="Disable").click()
    expect(rows).to_contain_text("disabled")
    other = f"{uuid4()}@example.com"
    page.get_by_role("button", name="Invite somebody").click()
    page.get_by_label("E-mail", exact=True).fill(other)
    page.get_by_label("Kino Aurora").check()
    page.get_by_role("button", name="Send the link").click()
    page.get_by_text(f"A link is on its way to {other}.").wait_for()
    backstage.link_to(other, "/accept-invitation")


STAFF = ["Box office", "Scanner", "Bookings"]
MANAGER = [*STAFF, "Timetable", "Screens", "Prices", "Promo codes", "Cash days", "Reports"]
ADMIN = [
    *(*MANAGER, "Films", "Cinemas", "Accounts", "Reviews"),
    *("Messages", "Webhooks", "Audit log", "Live"),
]


@pytest.mark.parametrize(
    ("role", "links"), [("staff", STAFF), ("manager", MANAGER), ("admin", ADMIN)]
)
def test_each_role_sees_its_own_pages(page: Page, role: str, links: list[str]) -> None:
    page.goto("/sign-in")
    sign_in_as(page, role)
    own = page.get_by_role("navigation", name="For staff").get_by_role("link")
    expect(own).to_have_text(links)
    if role != "admin":
        page.goto("/admin/users")
        page.get_by_text("Sign in with an account that may see this page.").wait_for()
