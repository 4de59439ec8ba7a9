from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cinema.cluster import ring as ring_module
from cinema.cluster.ring import DEFAULT_WEIGHT, POINTS_PER_WEIGHT, Ring, RingNode
from tests.support import inspection

_RANDOM = random.Random(2026)
SHOWTIMES = [_RANDOM.randbytes(16) for _ in range(10_000)]
HOUSE = [RingNode(f"10.0.0.{number}", 8080) for number in range(1, 17)]


def _owners(ring: Ring) -> list[RingNode]:
    owners = []
    for showtime in SHOWTIMES:
        owner = ring.owner_of(showtime)
        assert owner is not None
        owners.append(owner)
    return owners


@pytest.mark.parametrize("count", [1, 2, 3, 4, 8, 16])
def test_equal_nodes_own_equal_shares_within_a_tenth(count: int) -> None:
    shares = Counter(_owners(Ring(HOUSE[:count])))
    even = len(SHOWTIMES) / count
    assert len(shares) == count
    assert all(abs(share - even) <= even / 10 for share in shares.values()), shares


@pytest.mark.parametrize("count", [1, 2, 5, 15])
def test_a_node_that_joins_takes_its_share_and_moves_no_other(count: int) -> None:
    before, after = _owners(Ring(HOUSE[:count])), _owners(Ring(HOUSE[: count + 1]))
    moved = [new for old, new in zip(before, after, strict=True) if old != new]
    assert set(moved) == {HOUSE[count]}
    share = len(SHOWTIMES) / (count + 1)
    assert 0.8 * share <= len(moved) <= 1.2 * share


def test_what_a_node_leaves_behind_goes_to_all_others() -> None:
    before, after = _owners(Ring(HOUSE[:5])), _owners(Ring([*HOUSE[:2], *HOUSE[3:5]]))
    left = [new for old, new in zip(before, after, strict=True) if old == HOUSE[2]]
    assert dict.fromkeys(left, 0).keys() == {HOUSE[0], HOUSE[1], HOUSE[3], HOUSE[4]}
    others = [(old, new) for old, new in zip(before, after, strict=True) if old != HOUSE[2]]
    assert all(old == new for old, new in others)


@settings(max_examples=20)
@given(st.permutations(HOUSE[:6]))
def test_every_node_sees_the_same_ring(nodes: list[RingNode]) -> None:
    ring, reference = Ring(nodes), Ring(HOUSE[:6])
    assert ring.nodes == reference.nodes
    for showtime in SHOWTIMES[:200]:
        assert ring.owner_of(showtime) == reference.owner_of(showtime)


def test_a_node_of_twice_the_weight_owns_twice_as_much() -> None:
    heavy = RingNode("10.0.1.1", 8080, weight=2 * DEFAULT_WEIGHT)
    shares = Counter(_owners(Ring([*HOUSE[:2], heavy])))
    assert 0.45 <= shares[heavy] / len(SHOWTIMES) <= 0.55


def test_more_weight_takes_from_others_and_moves_nothing_between_them() -> None:
    light, heavy = RingNode("10.0.1.1", 8080, weight=50), RingNode("10.0.1.1", 8080, weight=150)
    before, after = _owners(Ring([*HOUSE[:3], light])), _owners(Ring([*HOUSE[:3], heavy]))
    moved = [(old, new) for old, new in zip(before, after, strict=True) if old.host != new.host]
    assert moved
    assert {new for _, new in moved} == {heavy}


def test_nobody_owns_anything_on_an_empty_ring_or_with_no_weight() -> None:
    idle = RingNode("10.0.1.1", 8080, weight=0)
    assert Ring([]).owner_of(SHOWTIMES[0]) is None
    assert Ring([idle]).owner_of(SHOWTIMES[0]) is None
    assert set(_owners(Ring([HOUSE[0], idle]))) == {HOUSE[0]}


def test_two_nodes_cannot_share_an_address() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.1:8080"):
        Ring([HOUSE[0], RingNode(HOUSE[0].host, HOUSE[0].port, weight=7)])


# What nginx 1.22.1 chose with `hash $showtime consistent` over three servers of weight 100.
CHOSEN_BY_NGINX = {
    "035c4ea0-d73b-5bde-bd6f-c806b04f2ec3": 9302,
    "b80c8fef-a677-5340-85fb-2c162d75df03": 9301,
    "334b6b31-12a2-5bfc-bf4f-870c0954b343": 9302,
    "c093c7f6-6edf-595e-9539-70de788efbaa": 9301,
    "ff6c5a08-b2fa-56b6-ac00-6830f4074b6a": 9302,
    "afca48e9-59ea-5a28-b8a4-88e0cc6eda1c": 9302,
    "c6577abe-8c0f-5a02-ac84-aa94c2247b1e": 9301,
    "5bd20866-3478-53f7-bc79-d2aae304b443": 9302,
    "e1e5b788-f429-5a32-9f7e-63865921a5e5": 9303,
    "38a01d76-c518-5afc-9b94-14cb038b4370": 9303,
}


@pytest.mark.parametrize(("showtime", "port"), CHOSEN_BY_NGINX.items())
def test_the_owner_is_the_server_that_nginx_chooses(showtime: str, port: int) -> None:
    owner = Ring(RingNode("127.0.0.1", 9301 + n) for n in range(3)).owner_of(UUID(showtime).bytes)
    assert owner == RingNode("127.0.0.1", port)


def test_shares_are_what_showtimes_really_get() -> None:
    ring = Ring([RingNode("a", 1), RingNode("b", 1), RingNode("c", 1, weight=200)])
    shares = ring.shares()
    assert sum(shares.values()) == pytest.approx(1.0)
    ids = [index.to_bytes(16, "big") for index in range(20_000)]
    counted = Counter(ring.owner_of(showtime_id) for showtime_id in ids)
    for node, share in shares.items():
        assert counted[node] / len(ids) == pytest.approx(share, abs=0.015)


def test_a_ring_without_nodes_has_no_shares() -> None:
    assert Ring([]).shares() == {}
    assert Ring([RingNode("a", 1, weight=0)]).shares() == {RingNode("a", 1, weight=0): 0.0}


def test_a_node_of_ipv6_is_placed_as_balancers_spell_it() -> None:
    """Nginx and `ring.lua` take the host from `[::1]:8080`, brackets and all."""
    plain, bracketed = Ring([RingNode("::1", 8080)]), Ring([RingNode("[::1]", 8080)])
    assert plain.nodes[0].address == bracketed.nodes[0].address == "[::1]:8080"
    (one,), (other,) = inspection.points_of(plain), inspection.points_of(bracketed)
    assert one[1] == other[1]


class _Touched(Sequence[int]):
    """Points that count how often they are looked at."""

    def __init__(self, points: Sequence[int], touched: Counter[str]) -> None:
        self._points = points
        self._touched = touched

    def __len__(self) -> int:
        return len(self._points)

    def __getitem__(self, at: Any) -> Any:
        self._touched["points"] += 1
        return self._points[at]


def test_a_ring_of_known_nodes_goes_through_none_of_their_points(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    touched: Counter[str] = Counter()
    known = ring_module.points_of
    monkeypatch.setattr(ring_module, "points_of", lambda node: _Touched(known(node), touched))
    ring = Ring(HOUSE[:3])
    assert touched["points"] == 0
    assert ring.owner_of(SHOWTIMES[0]) is not None
    assert touched["points"] <= 3 * (POINTS_PER_WEIGHT * DEFAULT_WEIGHT).bit_length() + 3
