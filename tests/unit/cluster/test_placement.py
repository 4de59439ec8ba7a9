"""Who owns a showtime as a node sees it, by the newest view and only by that."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from cinema.cluster import placement as placement_module
from cinema.cluster.placement import Placement
from cinema.cluster.ring import Ring, RingNode
from cinema.domain.membership import Member, View
from tests.support import inspection
from tests.unit.cluster.members import member, node_id

_RANDOM = random.Random(3)
SHOWTIMES = [_RANDOM.randbytes(16) for _ in range(500)]


def following(*members: Member, version: int = 1) -> Placement:
    """RingNode 1, which goes by a view of some members."""
    placed = Placement(node_id(1))
    placed.follow(View(version=version, members=members))
    return placed


def test_before_the_first_view_nobody_owns_anything() -> None:
    placed = Placement(node_id(1))
    assert placed.owner_of(SHOWTIMES[0]) is None
    assert placed.address_of_owner(SHOWTIMES[0]) is None
    assert not placed.owns(SHOWTIMES[0])
    assert placed.others == ()


def test_owners_are_those_of_the_ring_that_balancers_know() -> None:
    members = [member(number) for number in (1, 2, 3)]
    placed = following(*members)
    ring = Ring(RingNode(one.host, one.port) for one in members)
    for showtime_id in SHOWTIMES:
        node = ring.owner_of(showtime_id)
        assert node is not None
        assert placed.address_of_owner(showtime_id) == node.address
        owner = placed.owner_of(showtime_id)
        assert owner is not None
        assert placed.owns(showtime_id) == (owner.node_id == node_id(1))
    assert placed.others == (member(2), member(3))


def test_who_drains_owns_nothing_and_is_still_another_node() -> None:
    placed = following(member(1), member(2, draining=True))
    assert all(placed.owns(showtime_id) for showtime_id in SHOWTIMES)
    assert placed.others == (member(2, draining=True),)


def test_a_heavier_member_owns_more() -> None:
    placed = following(member(1), member(2, weight=300))
    shares = Counter(placed.owns(showtime_id) for showtime_id in SHOWTIMES)
    assert 2 < shares[False] / shares[True] < 4


def test_a_new_view_counts_at_once_for_showtimes_looked_up_before() -> None:
    placed = following(member(1))
    assert all(placed.owns(showtime_id) for showtime_id in SHOWTIMES)
    placed.follow(View(version=2, members=(member(2),)))
    assert not any(placed.owns(showtime_id) for showtime_id in SHOWTIMES)
    placed.follow(View(version=3))
    assert placed.owner_of(SHOWTIMES[0]) is None


def test_a_node_that_started_anew_at_its_address_owns_what_it_owned_before() -> None:
    anew = Member(node_id=node_id(9), host="10.0.0.1", port=8002, cluster_port=9009)
    before, after = following(member(1), member(2)), following(member(1), anew)
    for showtime_id in SHOWTIMES:
        owner = after.owner_of(showtime_id)
        assert before.owns(showtime_id) == after.owns(showtime_id)
        assert owner in {member(1), anew}


def test_no_more_owners_are_remembered_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement_module, "OWNERS_KEPT", 10)
    placed = following(member(1), member(2))
    owners = [placed.owner_of(showtime_id) for showtime_id in SHOWTIMES]
    assert inspection.owners_remembered(placed) <= 10
    assert [placed.owner_of(showtime_id) for showtime_id in SHOWTIMES] == owners
