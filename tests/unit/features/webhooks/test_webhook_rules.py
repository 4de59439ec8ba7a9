"""How webhooks are signed, and when they are tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from cinema.features.webhooks.rules import (
    BACKOFF_LIMIT_S,
    DISABLED_AFTER,
    GIVEN_UP_AFTER,
    backoff_s,
    problem_of_url,
    shown_secret,
    signed_headers,
)

OLD, NEW, OTHER = (bytes([one]) * 32 for one in range(3))


def test_the_library_of_the_standard_accepts_what_either_secret_has_signed() -> None:
    body = b'{"type": "booking.confirmed"}'
    headers = signed_headers("msg_1", datetime.now(UTC), body, [NEW, OLD])
    for secret in (OLD, NEW):
        assert Webhook(shown_secret(secret)).verify(body, headers) == {"type": "booking.confirmed"}
    with pytest.raises(WebhookVerificationError):
        Webhook(shown_secret(OTHER)).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(shown_secret(NEW)).verify(body + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(shown_secret(NEW)).verify(body, {**headers, "webhook-id": "msg_2"})
    old = signed_headers("msg_1", datetime.now(UTC) - timedelta(minutes=6), body, [NEW])
    with pytest.raises(WebhookVerificationError):
        Webhook(shown_secret(NEW)).verify(body, old)


def test_waits_grow_up_to_a_bound_and_differ() -> None:
    waits = [backoff_s(failures, 0.5) for failures in range(1, 10)]
    assert waits[:3] == [10.0, 30.0, 90.0]
    assert waits == sorted(waits)
    assert waits[-1] == backoff_s(10_000, 0.5) == BACKOFF_LIMIT_S
    assert backoff_s(1, 0.0) == pytest.approx(8.0)
    assert backoff_s(1, 1.0) == pytest.approx(12.0)


def test_a_receiver_is_given_up_before_what_waits_for_it() -> None:
    assert DISABLED_AFTER < GIVEN_UP_AFTER


@pytest.mark.parametrize(
    "url",
    [
        "https://partner.example",
        "https://partner.example:8443/path?x=1",
        "https://münchen.example/ä",
        "https://[2606:4700::1111]/",
    ],
)
def test_an_address_of_the_web_is_fine(url: str) -> None:
    assert problem_of_url(url, plain=False) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://partner.example",
        "ftp://partner.example",
        "file:///etc/passwd",
        "gopher://partner.example",
        "partner.example",
        "//partner.example",
        "https://",
        "https:///path",
        "https://user@partner.example",
        "https://user:word@partner.example",
        "https://:word@partner.example",
        "https://partner.example#part",
        "https://partner.example:0",
        "https://partner.example:99999",
        "https://[::1",
        "https://partner.example/a b",
        "https://partner.example/\r\nx: y",
        "https://partner.example\\@127.0.0.1/",
    ],
)
def test_what_is_no_address_for_events_is_refused(url: str) -> None:
    assert problem_of_url(url, plain=False)


def test_without_tls_only_where_an_operator_allows_it() -> None:
    assert problem_of_url("http://10.0.0.1/", plain=True) is None
    assert problem_of_url("ftp://10.0.0.1/", plain=True)
