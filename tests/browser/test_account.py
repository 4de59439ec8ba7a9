"""What somebody does with an account of their own."""

from __future__ import annotations

import time
from base64 import b32decode
from io import BytesIO
from urllib.parse import parse_qs, urlsplit

import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from cinema.features.accounts.totp_rules import STEP_S, code_at
from tests.browser.backstage import Backstage
from tests.browser.steps import sign_in
from tests.browser.windows import visitor
from tests.support.server_process import ServerProcess


def test_name_and_password_are_changed_and_another_device_is_signed_out(
    browser: Browser, server: ServerProcess, page: Page, backstage: Backstage
) -> None:
    email, password = backstage.account()
    with visitor(browser, server) as other:
        sign_in(other, email, password)
        sign_in(page, email, password)
        page.get_by_role("link", name="Account", exact=True).click()
        page.get_by_label("Last name").fill("Lovelace")
        page.get_by_role("button", name="Save").click()
        page.get_by_text("Saved.").wait_for()
        page.reload()
        expect(page.get_by_label("Last name")).to_have_value("Lovelace")
        page.get_by_role("link", name="Security").click()
        sessions = page.locator(".rows li")
        expect(sessions).to_have_count(3)  # one of them registered
        asked: list[str] = []
        page.on("request", lambda one: asked.append(one.url))
        page.get_by_label("Present password").fill("wrong")
        page.get_by_label("New password").fill("an even longer one")
        page.get_by_role("button", name="Set the password").click()
        page.get_by_text("E-mail or password is wrong.").wait_for()
        # It counts as a failed login, so it is not sent a second time.
        assert len([url for url in asked if url.endswith("/change-password")]) == 1
        page.get_by_label("Present password").fill(password)
        page.get_by_role("button", name="Set the password").click()
        page.get_by_text("Your password is changed.").wait_for()
        expect(sessions).to_have_count(1)
        expect(sessions).to_contain_text("this one")
        other.goto("/account")
        other.get_by_role("link", name="Sign in").first.wait_for()
    page.get_by_role("button", name="Sign out everywhere").click()
    page.get_by_role("link", name="Sign in").first.wait_for()


def test_an_authenticator_is_set_up_by_its_picture_and_removed(
    page: Page, backstage: Backstage
) -> None:
    email, password = backstage.account()
    sign_in(page, email, password)
    page.goto("/account?part=security")
    panel = page.get_by_role("region", name="Authenticator app")
    panel.get_by_label("Password").fill(password)
    panel.get_by_role("button", name="Set up").click()
    picture = panel.get_by_role("img", name="QR code for your authenticator")
    picture.wait_for()
    (code,) = zxingcpp.read_barcodes(Image.open(BytesIO(picture.screenshot())))
    (secret,) = parse_qs(urlsplit(code.text).query)["secret"]
    panel.get_by_label("Code of your authenticator").fill(
        code_at(b32decode(secret), int(time.time()) // STEP_S)
    )
    panel.get_by_role("button", name="Confirm").click()
    recovery = panel.locator(".codes code")
    recovery.first.wait_for()
    codes = recovery.all_inner_texts()
    panel.get_by_role("button", name="I have kept them").click()
    page.get_by_role("button", name="Sign out").first.click()
    page.get_by_role("link", name="Sign in").first.wait_for()
    page.goto("/sign-in")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_label("Code of your authenticator").fill(codes[0])
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("button", name="Sign out").wait_for()
    page.goto("/account?part=security")
    panel.get_by_label("Password").fill(password)
    panel.get_by_label("Code of your authenticator").fill(codes[1])
    panel.get_by_role("button", name="Remove").click()
    page.get_by_text("The authenticator is removed.").wait_for()


def test_whoever_wants_no_reminders_says_so_once(page: Page, backstage: Backstage) -> None:
    email, password = backstage.account()
    sign_in(page, email, password)
    page.goto("/account?part=messages")
    reminders = page.get_by_label("reminders before a film")
    expect(reminders).to_be_checked()
    reminders.uncheck()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    page.reload()
    expect(reminders).not_to_be_checked()
    expect(page.get_by_label("mails about refunds")).to_be_checked()
    reminders.check()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    page.reload()
    expect(reminders).to_be_checked()


def test_an_account_is_erased_after_a_question(page: Page, backstage: Backstage) -> None:
    email, password = backstage.account()
    sign_in(page, email, password)
    page.goto("/account?part=privacy")
    page.get_by_text("Confirm your e-mail address first").wait_for()
    page.get_by_role("button", name="Erase the account").click()
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Yes, erase it").click()
    page.get_by_text("Your account will be erased on").wait_for()
    page.get_by_role("dialog").get_by_role("button", name="See what is on").click()
    page.get_by_role("link", name="Sign in").first.wait_for()


def test_whoever_is_not_signed_in_is_asked_to(page: Page) -> None:
    page.goto("/account")
    page.get_by_text("Sign in to see your account.").wait_for()
