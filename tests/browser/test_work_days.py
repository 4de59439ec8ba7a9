"""What managers and admins look after day by day: tills, messages, waiting rooms."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.backstage import Backstage
from tests.browser.houses import House
from tests.browser.steps import go_to_work, sign_in_as


def test_a_left_till_is_counted_and_its_day_closed_with_a_numbered_report(
    page: Page, backstage: Backstage
) -> None:
    house = House(backstage)
    till = {
        "cinema_id": house.cinema_id,
        "till": "Bar",
        "opening": {"amount": 5000, "currency": "EUR"},
    }
    backstage.ask("admin", "POST", "cash-sessions", till)
    page.goto("/sign-in")
    sign_in_as(page, "admin")
    go_to_work(page, "Cash days", "Cash days", house.label)
    page.get_by_text("Close these tills first: Bar").wait_for()
    page.get_by_role("button", name="Close the till: Bar").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Counted").fill("nothing")
    dialog.get_by_role("button", name="Close the till").click()
    dialog.get_by_text("Enter an amount").wait_for()
    dialog.get_by_label("Counted").fill("48.50")
    dialog.get_by_role("button", name="Close the till").click()
    expect(page.locator(".rows")).to_contain_text("-€1.50")
    page.get_by_role("button", name="Close ", exact=False).last.click()
    page.get_by_role("dialog").get_by_role("button", name="Close the day").click()
    page.get_by_role("heading", name="Report 1", exact=True).wait_for()
    expect(page.locator(".figures")).to_contain_text("€48.50")
    expect(page.get_by_role("row").filter(has_text="Bar")).to_contain_text("-€1.50")
    page.get_by_role("link", name="Cash days").last.click()
    page.get_by_text("No till waits.").wait_for()
    page.get_by_role("link", name="Show the report: Report 1").wait_for()


def test_a_manager_sees_their_own_cinema_alone(page: Page, backstage: Backstage) -> None:
    House(backstage)
    page.goto("/sign-in")
    sign_in_as(page, "manager")
    page.get_by_role("link", name="Cash days").click()
    choices = page.get_by_role("combobox", name="Cinema").locator("option")
    expect(choices).to_have_text(["Kino Aurora, Berlin"])


def test_an_admin_reads_how_mails_are_and_what_was_sent(page: Page, backstage: Backstage) -> None:
    email, _ = backstage.account()
    backstage.link_to(email, "/verify-email")
    page.goto("/sign-in")
    sign_in_as(page, "admin")
    page.get_by_role("link", name="Messages").click()
    page.get_by_role("link", name="Sent", exact=True).click()
    row = page.locator(".rows li").filter(has_text=email)
    expect(row).to_contain_text("account_verification")
    page.get_by_label("Kind").select_option("booking_reminder")
    page.get_by_text("People can turn it off.").wait_for()
    before = page.locator(".mail h3").inner_text()
    page.locator(".mail").get_by_label("Language").select_option("de")
    expect(page.locator(".mail h3")).not_to_have_text(before)


def test_a_waiting_room_is_opened_and_closed(page: Page, backstage: Backstage) -> None:
    house = House(backstage)
    showtime = house.showtime()
    queue = f"showtimes/{showtime['id']}/queue"
    page.goto("/sign-in")
    sign_in_as(page, "admin")
    go_to_work(page, "Timetable", "Timetable", house.label)
    page.goto(f"/manage/timetable?day={house.day()}")
    page.locator(".board-show").click()
    page.get_by_role("button", name="Waiting room").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("status")).to_contain_text("closed")
    dialog.get_by_label("Waiting room").select_option("on")
    settings = {
        "Choosing at a time": 25,
        "Seconds to choose and pay": 900,
        "Seconds to come in": 90,
        "Places for one address": 12,
        "Proof of work": 3,
    }
    for label, value in settings.items():
        dialog.get_by_label(label).fill(str(value))
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("status")).to_contain_text("0 wait")
    dialog.get_by_text("Saved.").wait_for()
    kept = backstage.ask("admin", "GET", f"{queue}/settings")
    names = ("shoppers", "shopping_seconds", "entry_seconds", "places_per_address", "work_bits")
    assert [kept[name] for name in names] == list(settings.values())
    # What is set is shown to whoever comes later, and nobody overwrites what others have set.
    dialog.get_by_role("button", name="Back").click()
    page.get_by_role("button", name="Waiting room").click()
    for label, value in settings.items():
        expect(dialog.get_by_label(label)).to_have_value(str(value))
    others = {**{name: kept[name] for name in names}, "mode": "on", "shoppers": 40}
    backstage.ask("admin", "PUT", f"{queue}/settings", others, seen=kept["version"])
    dialog.get_by_label("Choosing at a time").fill("30")
    dialog.get_by_role("button", name="Save").click()
    dialog.get_by_text("Somebody has changed this meanwhile.").wait_for()
    dialog.get_by_role("button", name="Show the newest").click()
    expect(dialog.get_by_label("Choosing at a time")).to_have_value("40")
    dialog.get_by_label("Waiting room").select_option("off")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("status")).not_to_contain_text("wait")
    assert backstage.ask("admin", "GET", queue)["status"] == "off"
