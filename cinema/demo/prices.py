"""The demo's price books: ticket types and a few rules that show what rules can do."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from cinema.demo.catalog import DemoCinema, demo_id
from cinema.domain.pricing.book import (
    BookSettings,
    Conditions,
    Discount,
    Effect,
    Group,
    GroupDiscount,
    Rule,
    TicketType,
)

_CHILDREN: Final = "child"
_REDUCED: Final = ("student", "senior")

SETTINGS: Final = BookSettings(
    ticket_types=(
        TicketType(code="adult", name="Adult"),
        TicketType(code=_CHILDREN, name="Child", proof="Up to 11 years"),
        TicketType(code="student", name="Student", proof="Student card"),
        TicketType(code="senior", name="Senior", proof="From 65 years"),
        TicketType(
            code="companion",
            name="Companion",
            proof="Pass of the accompanied person",
            maximum=2,
            needs_paying=True,
            free=True,
        ),
        TicketType(code="complimentary", name="Complimentary", free=True, channels=("counter",)),
    ),
    group_discounts=(
        GroupDiscount(
            code="group",
            name="Groups of ten and more",
            tickets_min=10,
            discount=Discount(kind="percent", value=1000),
        ),
    ),
    rounding_step=5,
)
"""No fees and no taxes: what a seat costs an adult is what its seat map says, but for the rules."""


def rules(house: DemoCinema) -> list[Rule]:
    """The rules of a cinema."""
    return [
        _rule(house, "Cinema day", "time", 10, -2000, Conditions(weekdays=(2,))),
        _rule(
            house,
            "Matinee",
            "time",
            20,
            -1000,
            Conditions(weekdays=(1, 2, 3, 4, 5), starts_until="17:00"),
        ),
        _rule(house, "Nearly full", "demand", 10, 1000, Conditions(taken_min=90)),
        _rule(house, "Children", "type", 10, -3000, Conditions(ticket_types=(_CHILDREN,))),
        _rule(house, "Students and seniors", "type", 20, -1500, Conditions(ticket_types=_REDUCED)),
    ]


def rule_id(house: DemoCinema, name: str) -> UUID:
    """The id of a cinema's rule."""
    return demo_id("price rule", f"{house.cinema.name}/{name}")


def _rule(
    house: DemoCinema, name: str, group: Group, priority: int, percent: int, when: Conditions
) -> Rule:
    return Rule(
        id=rule_id(house, name),
        name=name,
        group=group,
        priority=priority,
        when=when,
        effect=Effect(kind="percent", value=percent),
    )
