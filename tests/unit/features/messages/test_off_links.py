"""Links that turn mails off: nobody can make one up, or one of another into theirs."""

from __future__ import annotations

import base64
from typing import get_args

import pytest

from cinema.features.messages.off_links import OffLinks, address_digest
from cinema.features.messages.rules import BY_SMS, KINDS, OPTIONAL
from cinema.features.messages.shapes import OptionalKind, SmsKind
from cinema.storage.encryption import Cipher

OLD, NEW = b"o" * 32, b"n" * 32
LINKS = OffLinks(Cipher([OLD]), "https://tickets.example.com")


def test_a_link_says_what_it_is_for_and_names_nobody() -> None:
    token = LINKS.token("waitlist_offer", "Ada@Example.com")
    assert LINKS.read(token) == ("waitlist_offer", address_digest("ada@example.com"))
    assert token.isascii()
    assert set("=+/").isdisjoint(token)
    plain = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    assert b"waitlist" not in plain
    assert len(token) < 200


def test_addresses_are_told_apart_as_accounts_are() -> None:
    assert address_digest("ada@bücher.example") == address_digest("ADA@xn--bcher-kva.example")
    assert address_digest("ada@example.com") != address_digest("ada@example.org")


@pytest.mark.parametrize("change", ["", "x", "é", "!", "AAAA", "\x00", "=" * 9, "A" * 512])
def test_what_is_no_link_of_ours_is_not_read(change: str) -> None:
    assert LINKS.read(change) is None


def test_a_link_that_was_changed_is_not_read() -> None:
    token = LINKS.token("waitlist_offer", "ada@example.com")
    for place in range(0, len(token) - 1, 7):
        other = "A" if token[place] != "A" else "B"
        assert LINKS.read(token[:place] + other + token[place + 1 :]) is None
    assert LINKS.read(token[:-4]) is None
    assert OffLinks(Cipher([NEW]), "https://tickets.example.com").read(token) is None


def test_a_link_is_good_as_long_as_its_key_is_known() -> None:
    token = LINKS.token("waitlist_offer", "ada@example.com")
    assert OffLinks(Cipher([NEW, OLD]), "https://x.example").read(token) == LINKS.read(token)


def test_the_kinds_that_clients_can_name_are_those_that_can_be_turned_off() -> None:
    assert set(get_args(OptionalKind)) == OPTIONAL
    assert set(get_args(SmsKind)) == BY_SMS


def test_nothing_that_is_owed_can_be_turned_off() -> None:
    owed = {
        "booking_receipt",
        "booking_changed",
        "booking_cancelled",
        "order_link",
        "payment_returned",
    }
    owed |= {kind for kind in KINDS if kind.startswith(("account_", "showtime_"))}
    assert not owed & OPTIONAL
