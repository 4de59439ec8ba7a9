"""Codes of tickets: what they say, who has signed them, and how they are read from pictures."""

from __future__ import annotations

import base64
import io
from uuid import UUID

import msgspec
import pytest
import zxingcpp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cinema.features.example_ids import BOOKING_ID
from cinema.features.tickets import examples, qr, rules
from cinema.features.tickets.rules import (
    GROUP,
    SIGNED_BYTES,
    TOKEN_BYTES,
    TOKEN_CHARS,
    bookings_of,
    bytes_of,
    place_of,
    text_of,
    ticket_id,
)
from cinema.features.tickets.signing import TicketKeys

BOOKING = UUID("019a0c1e-7000-7abc-8def-0123456789ab")
SHOWTIME = UUID("019a0c1e-7000-7000-8000-0000000000e1")
OLD, NEW = b"o" * 32, b"n" * 32
TICKET = ticket_id(BOOKING, 3)


@given(st.uuids(), st.integers(GROUP, 9_999))
def test_a_ticket_says_its_place_and_where_its_booking_is(booking: UUID, place: int) -> None:
    ticket = ticket_id(booking, place)
    assert place_of(ticket) == place
    low, high = bookings_of(ticket)
    assert low <= booking <= high
    assert (high.int - low.int) == (1 << rules.PLACE_BITS) - 1
    # The version and the variant of a UUIDv7 are in other bits.
    assert ticket.int >> 62 == booking.int >> 62


def test_a_code_has_the_length_that_was_promised() -> None:
    token = TicketKeys([NEW]).token(TICKET, SHOWTIME, 1)
    assert len(token) == TOKEN_CHARS == 146
    raw = bytes_of(token)
    assert raw is not None
    assert len(raw) == TOKEN_BYTES == 91
    assert SIGNED_BYTES + 64 == TOKEN_BYTES
    assert raw[2:18] == TICKET.bytes
    assert raw[18:26] == SHOWTIME.bytes[:8]


@given(st.uuids(), st.uuids(), st.integers(1, 255))
def test_a_code_says_what_was_signed(ticket: UUID, showtime: UUID, generation: int) -> None:
    keys = TicketKeys([NEW])
    token = keys.token(ticket, showtime, generation)
    for shown in (token, token.lower(), f" {token}\n"):
        claim = keys.claim(shown)
        assert claim is not None
        assert claim.ticket_id == ticket
        assert claim.showtime == showtime.bytes[:8]
        assert claim.generation == generation


def test_each_changed_bit_is_a_forgery() -> None:
    keys = TicketKeys([NEW])
    raw = bytes_of(keys.token(TICKET, SHOWTIME, 1))
    assert raw is not None
    for bit in range(TOKEN_BYTES * 8):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        assert keys.claim(text_of(bytes(changed))) is None


@pytest.mark.parametrize(
    "text", ["", "A" * 145, "A" * 147, "!" * 146, "Ä" * 146, "A" * 146, "https://example.org"]
)
def test_other_codes_are_none_of_ours(text: str) -> None:
    assert TicketKeys([NEW]).claim(text) is None


def test_one_ticket_has_one_spelling() -> None:
    """The last character has two bits more than are needed: they say nothing, and are zero."""
    keys = TicketKeys([NEW])
    token = keys.token(TICKET, SHOWTIME, 1)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    other = token[:-1] + alphabet[alphabet.index(token[-1]) + 1]
    assert base64.b32decode(other + "======") == base64.b32decode(token + "======")
    assert keys.claim(other) is None


def test_codes_of_older_keys_are_let_in_until_the_key_is_removed() -> None:
    keys = TicketKeys([OLD])
    before = keys.token(TICKET, SHOWTIME, 1)
    keys.replace([NEW, OLD])
    after = keys.token(TICKET, SHOWTIME, 1)
    assert before != after
    assert keys.claim(before) == keys.claim(after) is not None
    keys.replace([NEW])
    assert keys.claim(before) is None
    assert keys.claim(after) is not None
    for wrong in ([], [b"short"]):
        with pytest.raises(ValueError, match="32 bytes"):
            keys.replace(wrong)
    assert keys.claim(after) is not None


def test_two_keys_may_share_the_byte_that_names_them() -> None:
    by_number: dict[int, bytes] = {}
    for number in range(1000):
        seed = number.to_bytes(32, "big")
        key_id = TicketKeys([seed]).public()[0].key_id
        if key_id in by_number:
            pair = by_number[key_id], seed
            break
        by_number[key_id] = seed
    keys = TicketKeys(pair)
    for seed in pair:
        assert keys.claim(TicketKeys([seed]).token(TICKET, SHOWTIME, 1)) is not None


def test_pictures_are_read_back_on_any_background() -> None:
    token = TicketKeys([NEW]).token(TICKET, SHOWTIME, 1)
    code = qr.code_of(token)
    assert (code.version, code.error, code.mode) == (6, "M", "alphanumeric")
    picture = Image.open(io.BytesIO(qr.png_of(token)))
    assert picture.size == (392, 392)
    dark = Image.new("RGB", (600, 600), "black")
    dark.paste(picture.convert("RGB"), (100, 100))
    for shown in (picture.convert("RGB"), dark):
        (read,) = zxingcpp.read_barcodes(shown)
        assert read.text == token
    # The border is white and opaque.
    assert picture.convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)


def test_the_svg_brings_its_white_border() -> None:
    svg = qr.svg_of(TicketKeys([NEW]).token(TICKET, SHOWTIME, 1)).decode()
    assert 'viewBox="0 0 49 49"' in svg
    assert 'fill="#fff" d="M0 0h49v49h-49z"' in svg


def test_the_examples_of_the_documentation_hold() -> None:
    """Whoever writes a scanner tries it on them."""
    (key,) = examples.SCAN_LIST["list"]["keys"]
    public = Ed25519PublicKey.from_public_bytes(from_base64url(key["public_key"]))
    raw = bytes_of(examples.CODE)
    assert raw is not None
    assert raw[1] == key["key_id"] == examples.SCAN_LIST["key_id"]
    public.verify(raw[SIGNED_BYTES:], raw[:SIGNED_BYTES])
    assert str(rules.claim_in(raw).ticket_id) == examples.TICKET_ID
    assert ticket_id(UUID(BOOKING_ID), 0) == UUID(examples.TICKET_ID)
    listed = msgspec.json.encode(examples.SCAN_LIST["list"], order="sorted")
    public.verify(from_base64url(examples.SCAN_LIST["signature"]), listed)


def from_base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
