"""Whose pages may have the refresh token sent."""

from __future__ import annotations

from typing import Any, cast

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from cinema.domain.rejections import Refused
from cinema.features.accounts.build import refresh_cookie
from cinema.features.accounts.refresh_cookie import RefreshCookie
from cinema.http.connections.request import HttpRequest
from cinema.settings import Settings

PUBLIC = "https://tickets.example"
APP = "https://app.example"
SECURE = RefreshCookie(secure=True, own_origin=PUBLIC, allowed_origins=(APP,))
PLAIN = RefreshCookie(secure=False, allowed_origins=("*",))


class Asked:
    def __init__(self, *headers: tuple[str, str]) -> None:
        self.headers = CIMultiDictProxy(CIMultiDict[str](headers))


def read(cookie: RefreshCookie, *headers: tuple[str, str]) -> str:
    return cookie.read(cast("HttpRequest", cast("Any", Asked(*headers))))


def refusal(cookie: RefreshCookie, *headers: tuple[str, str]) -> str:
    with pytest.raises(Refused) as caught:
        read(cookie, *headers)
    return caught.value.rejection.code


OURS = ("X-Requested-With", "fetch")
TOKEN = ("Cookie", "a=1; __Host-refresh=tok; b=2")
PLAIN_TOKEN = ("Cookie", "refresh=tok")


def test_cookie_over_tls_is_bound_to_the_host_and_out_of_reach_of_scripts() -> None:
    assert SECURE.lines("tok", 60) == (
        b"Set-Cookie: __Host-refresh=tok; Max-Age=60; HttpOnly; SameSite=Strict; Path=/; Secure\r\n"
    )
    assert SECURE.cleared() == (
        b"Set-Cookie: __Host-refresh=; Max-Age=0; HttpOnly; SameSite=Strict; Path=/; Secure\r\n"
    )


def test_cookie_without_tls_has_the_plain_name() -> None:
    assert PLAIN.lines("tok", 60) == (
        b"Set-Cookie: refresh=tok; Max-Age=60; HttpOnly; SameSite=Strict; Path=/\r\n"
    )


@pytest.mark.parametrize("origin", ["https://tickets.example", APP])
def test_pages_of_ours_may_have_it_sent(origin: str) -> None:
    assert read(SECURE, TOKEN, OURS, ("Origin", origin)) == "tok"


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://Tickets.Example:443", "https://tickets.example"),
        ("https://tickets.example:8443/shop/", "https://tickets.example:8443"),
        ("http://localhost:80", "http://localhost"),
        ("https://łódź.example", "https://xn--d-uga0v4h.example"),
    ],
)
def test_our_pages_may_have_it_sent_however_the_setting_writes_their_address(
    address: str, origin: str
) -> None:
    cookie = refresh_cookie(Settings(public_url=address))
    both = ("Cookie", "refresh=tok; __Host-refresh=tok")
    assert read(cookie, both, OURS, ("Origin", origin)) == "tok"
    assert refusal(cookie, both, OURS, ("Origin", f"{origin}1")) == "ORIGIN_NOT_ALLOWED"


def test_program_without_an_origin_may_send_it() -> None:
    assert read(SECURE, TOKEN, OURS) == "tok"


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "", "http://tickets.example", "https://tickets.example:444"],
)
def test_csrf_pages_of_others_may_not(origin: str) -> None:
    assert refusal(SECURE, TOKEN, OURS, ("Origin", origin)) == "ORIGIN_NOT_ALLOWED"


def test_csrf_host_header_makes_no_origin_ours_where_the_address_is_known() -> None:
    evil = (("Origin", "https://evil.example"), ("Host", "evil.example"))
    assert refusal(SECURE, TOKEN, OURS, *evil) == "ORIGIN_NOT_ALLOWED"


def test_csrf_form_of_our_own_page_lacks_the_header() -> None:
    assert refusal(SECURE, TOKEN, ("Origin", APP)) == "CSRF_HEADER_REQUIRED"
    assert refusal(SECURE, TOKEN) == "CSRF_HEADER_REQUIRED"


def test_while_developing_the_page_is_ours_that_the_request_went_to() -> None:
    host = ("Host", "127.0.0.1:8080")
    assert read(PLAIN, PLAIN_TOKEN, OURS, host, ("Origin", "http://127.0.0.1:8080")) == "tok"
    for origin in ("http://127.0.0.1:9090", "*", "http://evil.example"):
        assert refusal(PLAIN, PLAIN_TOKEN, OURS, host, ("Origin", origin)) == "ORIGIN_NOT_ALLOWED"


def test_request_without_the_cookie_needs_nothing() -> None:
    assert read(SECURE, ("Origin", "https://evil.example")) == ""
    assert read(SECURE, ("Cookie", "refresh=tok; x__Host-refresh=tok; nothing")) == ""


def test_cookies_in_several_lines_are_read() -> None:
    assert read(PLAIN, ("Cookie", "a=1"), ("Cookie", "refresh=t=k"), OURS) == "t=k"
