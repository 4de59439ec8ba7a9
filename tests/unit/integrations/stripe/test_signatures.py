"""Signatures of webhooks: ours and those of the official library say the same."""

from __future__ import annotations

import pytest
import stripe

from cinema.integrations.stripe.signatures import is_signed, signed

BODY = b'{"id": "evt_1", "name": "\xc3\xa9"}'
NOW_S = 1_800_000_000
SECRET = "whsec_one"
OLD = "whsec_two"


def check(header: str, *secrets: str, now_s: float = NOW_S, body: bytes = BODY) -> bool:
    return is_signed(body, header, secrets or (SECRET,), now_s=now_s, tolerance_s=300)


def test_the_library_accepts_what_is_signed_here() -> None:
    assert stripe.WebhookSignature.verify_header(BODY, signed(BODY, SECRET, NOW_S), SECRET)


def test_what_the_library_signs_is_accepted_here() -> None:
    header = stripe.WebhookSignature.generate_signature_header(BODY.decode(), SECRET, NOW_S)
    assert check(header)
    assert not check(header, OLD)
    assert not check(header, body=BODY + b" ")


def test_while_a_secret_is_rotated_either_counts() -> None:
    assert check(signed(BODY, OLD, NOW_S), SECRET, OLD)
    both = f"{signed(BODY, SECRET, NOW_S)},{signed(BODY, OLD, NOW_S).partition(',')[2]}"
    assert check(both, OLD)
    assert check(both, SECRET)
    assert not check(both, "whsec_three")


@pytest.mark.parametrize(
    ("age_s", "accepted"), [(0, True), (300, True), (301, False), (-300, True), (-301, False)]
)
def test_the_signature_is_not_older_than_five_minutes(age_s: int, accepted: bool) -> None:
    assert check(signed(BODY, SECRET, NOW_S), now_s=NOW_S + age_s) is accepted


def test_a_signature_for_another_time_is_none() -> None:
    old = signed(BODY, SECRET, NOW_S - 1000)
    assert not check(old.replace(f"t={NOW_S - 1000}", f"t={NOW_S}"))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=",
        "t=1",
        "v1=abc",
        f"t={NOW_S}",
        f"t={NOW_S},v0=abc",
        f"t={NOW_S},v1=",
        f"t={NOW_S},v1=\u00e9",
        f"t={'9' * 40},v1=abc",
        "t=\u0661,v1=abc",
        ",,==,",
    ],
)
def test_other_headers_are_no_signatures(header: str) -> None:
    assert not check(header)


def test_a_body_without_secrets_is_never_signed() -> None:
    assert not is_signed(BODY, signed(BODY, "", NOW_S), [], now_s=NOW_S, tolerance_s=300)
