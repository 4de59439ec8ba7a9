from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cinema.features.accounts.link_rules import PAGES, Links, LinkTimes, digest_of_link

NOW = datetime(2026, 11, 29, tzinfo=UTC)
TIMES = LinkTimes(reset_s=1, verify_s=2, change_s=3, undo_s=4, invitation_s=5)


@pytest.mark.parametrize("purpose", PAGES)
@pytest.mark.parametrize("base", ["https://tickets.example", "https://tickets.example/"])
def test_link_leads_to_its_page_and_its_token_stays_out_of_requests(
    purpose: str, base: str
) -> None:
    link = Links(base).make(purpose)
    page, _, token = link.url.partition("#token=")
    assert page == f"https://tickets.example/{PAGES[purpose]}"
    assert len(token) == 43
    assert digest_of_link(purpose, token) == link.digest
    assert token not in repr(link.digest)


def test_no_two_links_are_alike() -> None:
    assert len({Links("https://a.example").make("reset").digest for _ in range(100)}) == 100


def test_token_means_nothing_for_another_purpose() -> None:
    assert len({digest_of_link(purpose, "token") for purpose in PAGES}) == len(PAGES)


@pytest.mark.parametrize("token", ["", "é", "\ud800", "x" * 100_000])
def test_any_text_has_a_digest(token: str) -> None:
    assert len(digest_of_link("reset", token)) == 32


def test_each_purpose_has_its_time() -> None:
    ends = {purpose: TIMES.end(purpose, NOW) - NOW for purpose in PAGES}
    assert ends == {
        "reset": timedelta(seconds=1),
        "verify": timedelta(seconds=2),
        "email_change": timedelta(seconds=3),
        "email_undo": timedelta(seconds=4),
        "invitation": timedelta(seconds=5),
    }
