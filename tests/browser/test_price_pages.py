"""Prices: rules and ticket types, and what comes of them."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.backstage import Backstage
from tests.browser.houses import House
from tests.browser.steps import go_to_work, sign_in_as


def _open(page: Page, house: House) -> None:
    page.goto("/sign-in")
    sign_in_as(page, "admin")
    go_to_work(page, "Prices", "Prices", cinema=house.label)


def test_a_rule_is_added_counts_is_changed_and_deleted(page: Page, backstage: Backstage) -> None:
    house = House(backstage)
    house.showtime()
    _open(page, house)
    page.get_by_role("button", name="Add a rule").click()
    dialog = page.get_by_role("dialog", name="Add a rule")
    dialog.get_by_label("Name").fill("Evening")
    dialog.get_by_label("Value").fill("+25")
    dialog.get_by_label("Starts from").fill("17:00")
    dialog.get_by_label("On days").fill("soon")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_label("On days")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_label("On days").fill("")
    dialog.get_by_role("button", name="Save").click()
    line = page.locator(".rows li").filter(has_text="Evening")
    expect(line).to_contain_text("+25%")

    preview = page.get_by_role("region", name="What does it cost now?")
    preview.get_by_label("Day").fill(house.day())
    preview.get_by_label("Showtime").locator("option").first.wait_for(state="attached")
    preview.get_by_role("button", name="Calculate").click()
    expect(preview.locator(".total")).to_contain_text("€25.00")
    expect(preview.locator(".explained")).to_contain_text("Evening")

    line.get_by_role("button", name="Change").click()
    changing = page.get_by_role("dialog", name="Evening")
    expect(changing.get_by_label("Value")).to_have_value("25.00")
    changing.get_by_label("Value").fill("-10")
    changing.get_by_role("button", name="Save").click()
    expect(line).to_contain_text("-10%")
    preview.get_by_role("button", name="Calculate").click()
    expect(preview.locator(".total")).to_contain_text("€18.00")
    (rule,) = backstage.ask("admin", "GET", f"pricing/rules?cinema_id={house.cinema_id}")
    assert rule["effect"] == {"kind": "percent", "value": -1000}
    assert rule["when"]["starts_from"] == "17:00"

    line.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.get_by_text("No rules yet").wait_for()


def test_a_ticket_type_is_added_and_the_other_settings_stay(
    page: Page, backstage: Backstage
) -> None:
    house = House(backstage)
    path = f"cinemas/{house.cinema_id}/pricing"
    before = backstage.ask("admin", "GET", path)
    fee = {"code": "online", "name": "Online fee", "per": "order", "amount": 100}
    settings = {**before["settings"], "fees": [fee]}
    backstage.ask("admin", "PUT", path, settings, seen=before["version"])
    _open(page, house)
    form = page.get_by_role("region", name="Ticket types")
    form.get_by_role("button", name="Add a ticket type").click()
    added = form.get_by_role("group", name="New ticket type")
    added.get_by_label("Name").fill("Student")
    added.get_by_label("Code").fill("student")
    added.get_by_label("What is shown at the door").fill("A student card")
    form.get_by_label("premium").fill("130")
    form.get_by_role("button", name="Save").click()
    form.get_by_text("Saved.").wait_for()
    now = backstage.ask("admin", "GET", path)["settings"]
    assert [one["code"] for one in now["ticket_types"]] == ["adult", "student"]
    assert now["ticket_types"][1]["proof"] == "A student card"
    assert now["category_factors"]["premium"] == 13_000
    assert [one["code"] for one in now["fees"]] == ["online"]
