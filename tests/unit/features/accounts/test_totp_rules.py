"""Codes of authenticators, against the vectors of RFC 6238 (appendix B, SHA-1, last six digits)."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from cinema.features.accounts.totp_rules import (
    RECOVERY_CODES,
    STEP_S,
    address_of,
    code_at,
    is_recovery_code,
    matching_step,
    new_recovery_codes,
    new_secret,
    recovery_digest,
    shown_secret,
)

SECRET = b"12345678901234567890"
VECTORS = {
    59: "287082",
    1111111109: "081804",
    1111111111: "050471",
    1234567890: "005924",
    2000000000: "279037",
    20000000000: "353130",
}


@pytest.mark.parametrize("at_s", VECTORS)
def test_codes_are_those_of_the_rfc(at_s: int) -> None:
    assert code_at(SECRET, at_s // STEP_S) == VECTORS[at_s]
    assert matching_step(SECRET, VECTORS[at_s], now_s=at_s, after=0) == at_s // STEP_S


@pytest.mark.parametrize(("late_s", "counts"), [(-30, True), (30, True), (-60, False), (60, False)])
def test_code_of_the_step_before_or_after_counts(late_s: int, counts: bool) -> None:
    now_s = 1_790_000_010
    code = code_at(SECRET, now_s // STEP_S)
    found = matching_step(SECRET, code, now_s=now_s + late_s, after=0)
    assert found == (now_s // STEP_S if counts else None)


def test_code_counts_once_and_none_before_it() -> None:
    now_s = 1_790_000_010
    step = now_s // STEP_S
    for used in (step, step + 1):
        assert matching_step(SECRET, code_at(SECRET, step), now_s=now_s, after=used) is None
    assert matching_step(SECRET, code_at(SECRET, step + 1), now_s=now_s, after=step) == step + 1


@pytest.mark.parametrize("code", ["", "28708", "287083", "２８７０８２", "\ud800", " ", "287.082"])
def test_what_is_not_the_code_does_not_count(code: str) -> None:
    assert matching_step(SECRET, code, now_s=59, after=0) is None


@pytest.mark.parametrize(
    "code", ["287 082", " 287082 ", "287-082", "287\u00a0082", "2 8 7 0 8 2\n"]
)
def test_code_may_be_typed_in_the_groups_in_which_it_is_shown(code: str) -> None:
    assert matching_step(SECRET, code, now_s=59, after=0) == 1
    assert not is_recovery_code(code)


def test_authenticator_is_told_secret_issuer_and_account() -> None:
    parts = urlsplit(address_of(SECRET, "ada+1@example.com"))
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert unquote(parts.path) == "/cinema:ada+1@example.com"
    assert parse_qs(parts.query) == {"secret": [shown_secret(SECRET)], "issuer": ["cinema"]}
    assert base64.b32decode(shown_secret(SECRET)) == SECRET


def test_secrets_and_recovery_codes_are_never_alike() -> None:
    assert len({new_secret() for _ in range(50)}) == 50
    codes = new_recovery_codes()
    assert len(set(codes)) == RECOVERY_CODES
    assert all(is_recovery_code(code) for code in codes)
    assert not is_recovery_code("287082")


def test_recovery_code_may_be_typed_in_groups_and_any_case() -> None:
    assert recovery_digest("mfrg gzdf-MZTW q2lk") == recovery_digest("MFRGGZDFMZTWQ2LK")
    assert len(recovery_digest("\ud800")) == 32


def test_recovery_codes_are_too_random_to_need_a_salt() -> None:
    """112 bits are enough for that (ASVS 2.6.2)."""
    assert all(len(base64.b32decode(code)) * 8 >= 112 for code in new_recovery_codes())
