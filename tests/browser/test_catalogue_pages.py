"""Films, cinemas and screens: what admins and managers do with them."""

from __future__ import annotations

import io
import json
import re
from uuid import uuid4

from PIL import Image
from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.browser.backstage import Backstage
from tests.browser.houses import House
from tests.browser.steps import go_to_work, sign_in_as
from tests.support.pretix_plans import plan, row, texts, zone


def _picture(width: int, height: int) -> FilePayload:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (120, 20, 30)).save(out, "PNG")
    return FilePayload(name="poster.png", mimeType="image/png", buffer=out.getvalue())


def test_a_film_is_added_changed_shown_and_deleted(page: Page, backstage: Backstage) -> None:
    title = f"Nosferatu {uuid4().hex[:8]}"
    page.goto("/sign-in")
    sign_in_as(page, "admin")
    page.get_by_role("link", name="Films", exact=True).click()
    page.get_by_role("link", name="Add a film").click()
    page.get_by_label("Title").fill(title)
    page.get_by_label("Runtime in minutes").fill("94")
    page.get_by_label("Genres").fill("Horror, Silent, Horror")
    page.get_by_label("Languages").fill("de")
    page.get_by_label("Release date").fill("1922-03-04")
    # The browser finds it well-formed, the server does not: the field says so itself.
    page.get_by_label("Address of the poster").fill("/media/none")
    page.get_by_role("button", name="Add a film").click()
    page.get_by_text("Look at the field that is marked.").wait_for()
    refused = page.get_by_label("Address of the poster")
    expect(refused).to_have_attribute("aria-invalid", "true")
    expect(refused).to_be_focused()
    refused.fill("")
    page.get_by_role("button", name="Add a film").click()
    page.get_by_role("heading", name=title, level=1).wait_for()
    film_id = page.url.rpartition("/")[2]
    film = backstage.ask("admin", "GET", f"movies/{film_id}")
    assert film["genres"] == ["Horror", "Silent"]
    assert film["release_date"] == "1922-03-04"

    page.get_by_label("Choose a picture").set_input_files(_picture(100, 150))
    page.get_by_role("img", name="Preview of poster.png").wait_for()
    page.get_by_role("button", name="Upload this poster").click()
    page.get_by_text("This picture is less than 342 pixels wide.").wait_for()
    page.get_by_label("Title").fill(f"{title}!")
    page.get_by_label("Choose a picture").set_input_files(_picture(400, 600))
    page.get_by_role("button", name="Upload this poster").click()
    page.get_by_text("The poster is shown from now on.").wait_for()
    # What was typed before is still there, and saving keeps the new poster.
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    film = backstage.ask("admin", "GET", f"movies/{film_id}")
    assert film["title"] == f"{title}!"
    assert film["poster_url"].startswith("/media/")

    page.get_by_role("link", name="All films").click()
    page.get_by_label("Search films").fill(title)
    page.get_by_role("button", name="Find").click()
    expect(page.locator(".rows li")).to_have_count(1)
    page.get_by_role("link", name=f"Change: {title}").click()
    page.get_by_role("button", name="Delete the film").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete the film").click()
    page.get_by_role("heading", name="Films", level=1, exact=True).wait_for()
    page.get_by_label("Search films").fill(title)
    page.get_by_role("button", name="Find").click()
    page.get_by_text("No film fits").wait_for()


def test_a_film_that_somebody_else_has_changed_is_not_overwritten(
    page: Page, backstage: Backstage
) -> None:
    wish = {"title": f"Metropolis {uuid4().hex[:8]}", "runtime_minutes": 153}
    film = backstage.ask("admin", "POST", "movies", wish)
    page.goto("/sign-in")
    sign_in_as(page, "admin")
    page.goto(f"/admin/films/{film['id']}")
    page.get_by_label("Age rating").fill("12")
    path = f"movies/{film['id']}"
    backstage.ask("admin", "PUT", path, {**wish, "runtime_minutes": 120}, seen=film["version"])
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Somebody has changed this meanwhile.").wait_for()
    page.get_by_role("button", name="Show the newest").click()
    expect(page.get_by_label("Runtime in minutes")).to_have_value("120")
    expect(page.get_by_label("Age rating")).to_have_value("")
    page.get_by_label("Age rating").fill("6")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    now = backstage.ask("admin", "GET", path)
    assert (now["runtime_minutes"], now["age_rating"]) == (120, "6")


def test_a_cinema_is_added_changed_and_deleted(page: Page) -> None:
    name = f"Kino {uuid4().hex[:8]}"
    page.goto("/sign-in")
    sign_in_as(page, "admin")
    page.get_by_role("link", name="Cinemas", exact=True).click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("City").fill("Bonn")
    page.get_by_label("Country").fill("de")
    page.get_by_label("Currency").fill("eur")
    page.get_by_label("Time zone").fill("Europe/Atlantis")
    page.get_by_role("button", name="Add a cinema").click()
    page.get_by_text("Look at the field that is marked.").wait_for()
    expect(page.get_by_label("Time zone")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Time zone").fill("Europe/Berlin")
    page.get_by_role("button", name="Add a cinema").click()
    line = page.locator(".rows li").filter(has_text=name)
    expect(line).to_contain_text("Bonn · DE · Europe/Berlin · EUR")
    line.get_by_role("button", name="Change").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("City").fill("Köln")
    dialog.get_by_role("button", name="Save").click()
    expect(line).to_contain_text("Köln")
    line.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(line).to_have_count(0)


def _seat(page: Page, name: str) -> Locator:
    return page.get_by_role("gridcell", name=name)


def test_a_screen_is_added_and_its_seats_are_drawn(page: Page, backstage: Backstage) -> None:
    house = House(backstage)
    page.goto("/sign-in")
    sign_in_as(page, "admin")
    go_to_work(page, "Screens", "Screens", cinema=house.label)
    page.get_by_label("Name of the screen").fill("Small hall")
    page.get_by_label("Rows").fill("2")
    page.get_by_label("Seats in a row").fill("4")
    page.get_by_role("button", name="Add a screen").click()
    page.get_by_role("heading", name="Small hall", level=1).wait_for()
    screen_id = page.url.rpartition("/")[2]

    _seat(page, "Row B, seat 1,").click()
    page.get_by_role("button", name="wheelchair space").click()
    _seat(page, "Row B, seat 1,").click()
    _seat(page, "Row B, seat 2,").click()
    # A companion seat needs a wheelchair space in its row, and has it.
    page.get_by_role("button", name="companion seat").click()
    page.get_by_role("button", name="Choose none").click()
    # An area by keys, and what goes leaves a gap that can be taken back.
    _seat(page, "Row A, seat 1,").click()
    page.get_by_role("button", name="Choose none").click()
    _seat(page, "Row A, seat 1,").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.get_by_text("2 of 8 seats chosen").wait_for()
    page.keyboard.press("Delete")
    page.get_by_text("6 seats", exact=True).wait_for()
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("8 seats", exact=True).wait_for()
    page.get_by_role("button", name="Redo").click()
    _seat(page, "Row A, seat 4, standard, aisle of 2 on the left").click()
    page.get_by_role("button", name="premium").click()
    page.get_by_role("button", name="Save the plan").click()
    page.get_by_text("Saved. New showtimes get this plan.").wait_for()
    layout = backstage.ask("admin", "GET", f"screens/{screen_id}/layout")["layout"]
    first, second = layout["rows"]
    assert [seat["number"] for seat in first["seats"]] == [1, 4]
    assert first["seats"][1] == {"number": 4, "category": "premium", "gap_before": 2.0}
    assert second["seats"][0]["accessible"]
    assert second["seats"][1]["companion"]


def test_a_plan_with_a_fault_is_not_sent_and_one_that_is_left_asks_first(
    page: Page, backstage: Backstage
) -> None:
    house = House(backstage)
    page.goto("/sign-in")
    sign_in_as(page, "admin")
    page.goto(f"/manage/screens/{house.screen['id']}")
    _seat(page, "Row A, seat 1,").click()
    page.get_by_role("button", name="companion seat").click()
    page.get_by_text("Row A has a companion seat, but no wheelchair space.").wait_for()
    expect(page.get_by_role("button", name="Save the plan")).to_be_disabled()
    page.get_by_role("link", name="Screens").first.click()
    dialog = page.get_by_role("dialog", name="Leave without saving?")
    dialog.get_by_role("button", name="Back").click()
    expect(dialog).to_have_count(0)
    page.get_by_role("link", name="Screens").first.click()
    dialog.get_by_role("button", name="Leave", exact=True).click()
    page.get_by_role("heading", name="Screens", level=1, exact=True).wait_for()


def test_a_plan_that_somebody_else_has_saved_is_not_overwritten(
    page: Page, backstage: Backstage
) -> None:
    house = House(backstage)
    page.goto("/sign-in")
    sign_in_as(page, "admin")
    page.goto(f"/manage/screens/{house.screen['id']}")
    _seat(page, "Row A, seat 1,").click()
    page.get_by_role("button", name="VIP").click()
    path = f"screens/{house.screen['id']}/layout"
    backstage.ask("admin", "PUT", path, {"grid": {"rows": 1, "columns": 5}}, seen=1)
    page.get_by_role("button", name="Save the plan").click()
    page.get_by_text("Somebody has changed this meanwhile.").wait_for()
    assert house.layout()["layout_version"] == 2
    page.get_by_role("button", name="Show the newest").click()
    page.get_by_text("5 seats", exact=True).wait_for()


def test_a_plan_of_pretix_is_looked_at_and_used(page: Page, backstage: Backstage) -> None:
    house = House(backstage)
    drawn = plan(zone(row("A", texts(1, 6)), row("B", texts(1, 6), y=30)), name="Opera")
    file = FilePayload(
        name="plan.json", mimeType="application/json", buffer=json.dumps(drawn).encode()
    )
    page.goto("/sign-in")
    sign_in_as(page, "admin")
    page.goto(f"/manage/screens/{house.screen['id']}")
    page.get_by_text("Import a plan of pretix").click()
    page.get_by_label("File").set_input_files(
        FilePayload(name="none.json", mimeType="application/json", buffer=b"{}")
    )
    page.get_by_role("button", name="Look at it").click()
    page.get_by_text("This plan cannot be used").wait_for()
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("button", name="Look at it").click()
    page.get_by_text("“Opera”: 12 seats in 2 rows").wait_for()
    assert house.layout()["layout_version"] == 1
    page.get_by_role("button", name="Use this plan").click()
    page.get_by_text("“Opera” is used now").wait_for()
    expect(page.get_by_role("gridcell")).to_have_count(12)
    assert house.layout()["layout_version"] == 2


def test_a_webhook_is_added_switched_off_and_deleted(page: Page) -> None:
    url = f"https://example.com/{uuid4()}"
    page.goto("/sign-in")
    sign_in_as(page, "admin")
    page.get_by_role("link", name="Webhooks", exact=True).click()
    page.get_by_label("Address").fill("http://example.com")
    page.get_by_role("button", name="Add a webhook").click()
    expect(page.get_by_label("Address")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Address").fill(url)
    page.get_by_role("button", name="Add a webhook").click()
    secret = page.get_by_role("dialog", name="The secret")
    expect(secret.locator("code")).to_have_text(re.compile("^whsec_"))
    secret.get_by_role("button").click()
    line = page.locator(".rows li").filter(has_text=url)
    line.get_by_role("button", name="Switch off").click()
    line.get_by_role("button", name="Switch on").wait_for()
    line.get_by_role("button", name="What was sent").click()
    page.get_by_role("dialog").get_by_text("Nothing was sent in the last 30 days.").wait_for()
    page.get_by_role("dialog").get_by_role("button", name="Back").click()
    line.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(line).to_have_count(0)


def test_the_audit_log_says_who_has_done_what(page: Page, backstage: Backstage) -> None:
    email = f"{uuid4()}@example.com"
    body = {"email": email, "role": "staff", "cinema_ids": []}
    cinema = backstage.ask("admin", "GET", "cinemas")[0]
    backstage.ask("admin", "POST", "admin/invitations", {**body, "cinema_ids": [cinema["id"]]})
    page.goto("/sign-in")
    sign_in_as(page, "admin")
    page.get_by_role("link", name="Audit log").click()
    page.get_by_role("searchbox", name="Action").fill("invitation")
    page.get_by_role("button", name="Find").click()
    page.locator(".rows li strong").first.wait_for()
    actions = set(page.locator(".rows li strong").all_inner_texts())
    assert actions == {"invitation"}
