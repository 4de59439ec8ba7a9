"""Views follow one another: one member at an address, and always somebody who owns showtimes."""

from __future__ import annotations

import msgspec

from cinema.domain.membership import NO_VIEW, Member, View


def member(number: int, *, port: int = 0, draining: bool = False) -> Member:
    """A member of which nothing else matters."""
    return Member(
        node_id=bytes([number]) * 16,
        host="10.0.0.1",
        port=port or 8000 + number,
        cluster_port=9000 + number,
        draining=draining,
    )


def test_each_view_is_one_version_after_the_one_it_was_made_from() -> None:
    first = NO_VIEW.with_member(member(2))
    second = first.with_member(member(1))
    third = second.without(frozenset({member(2).node_id}))
    assert [view.version for view in (NO_VIEW, first, second, third)] == [0, 1, 2, 3]
    assert [view.members for view in (NO_VIEW, first, third)] == [(), (member(2),), (member(1),)]


def test_members_are_ordered_whatever_order_they_came_in() -> None:
    forth = NO_VIEW.with_member(member(1)).with_member(member(2))
    back = NO_VIEW.with_member(member(2)).with_member(member(1))
    assert forth == back
    assert [one.address for one in forth.members] == ["10.0.0.1:8001", "10.0.0.1:8002"]


def test_a_new_start_at_an_address_replaces_what_stood_there() -> None:
    view = NO_VIEW.with_member(member(1)).with_member(member(2)).with_member(member(3, port=8001))
    assert [one.node_id[0] for one in view.members] == [3, 2]
    assert view.member(member(1).node_id) is None
    assert view.member(member(3).node_id) == member(3, port=8001)


def test_a_member_that_joins_again_is_there_once_with_what_it_says_now() -> None:
    moved = msgspec.structs.replace(member(1), port=8009, draining=True)
    view = NO_VIEW.with_member(member(1)).with_member(moved)
    assert view.members == (moved,)


def test_who_drains_owns_nothing_unless_everybody_does() -> None:
    staying, leaving = member(1), member(2, draining=True)
    assert View(version=1, members=(staying, leaving)).owners() == (staying,)
    assert View(version=1, members=(leaving,)).owners() == (leaving,)
    assert NO_VIEW.owners() == ()
