from __future__ import annotations

from typing import Any

import pytest

from cinema.domain.pricing.book import TicketType
from cinema.domain.pricing.rules import ready_book
from cinema.domain.pricing.tickets import refused_tickets
from tests.unit.domain.pricing.making import TYPES, book, tickets

READY = ready_book(
    book(
        ticket_types=(*TYPES, TicketType(code="family", name="Family", minimum=3)),
    )
)


@pytest.mark.parametrize(
    "asked",
    [
        ["adult"],
        ["adult", "companion"],
        ["child"] * 8,
        ["family"] * 3,
        ["adult", "child", "companion", "companion"],
    ],
)
def test_these_tickets_go_together(asked: list[str]) -> None:
    assert refused_tickets(READY, tickets(*asked), "online") is None


@pytest.mark.parametrize(
    ("asked", "details"),
    [
        (["complimentary"], {"reason": "CHANNEL", "ticket_type": "complimentary"}),
        (["family"] * 2, {"reason": "MINIMUM", "ticket_type": "family", "limit": 3}),
        (["child"] * 9, {"reason": "MAXIMUM", "ticket_type": "child", "limit": 8}),
        (["companion"], {"reason": "NEEDS_PAYING", "ticket_type": "companion", "limit": 0}),
        (
            ["adult", "companion", "companion"],
            {"reason": "NEEDS_PAYING", "ticket_type": "companion", "limit": 1},
        ),
    ],
)
def test_these_tickets_do_not_go_together(asked: list[str], details: dict[str, Any]) -> None:
    refused = refused_tickets(READY, tickets(*asked), "online")
    assert refused is not None
    assert refused.code == "TICKETS_NOT_ALLOWED"
    assert refused.details == details
    assert refused.message


def test_a_free_ticket_is_no_paying_one() -> None:
    refused = refused_tickets(READY, tickets("complimentary", "companion"), "counter")
    assert refused is not None
    assert refused.details is not None
    assert refused.details["reason"] == "NEEDS_PAYING"
    assert refused_tickets(READY, tickets("complimentary"), "counter") is None


def test_an_unknown_type_is_named_with_those_that_there_are() -> None:
    refused = refused_tickets(READY, tickets("adult", "pensioner"), "online")
    assert refused is not None
    assert refused.code == "UNKNOWN_TICKET_TYPE"
    assert refused.details == {
        "ticket_types": ["pensioner"],
        "known": ["adult", "child", "companion", "complimentary", "family"],
    }
