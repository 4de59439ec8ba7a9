"""The control service over several nodes: whoever is asked, the node concerned answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, get_args
from uuid import UUID

import msgspec
import pytest
import structlog

from cinema.actors.actor import Phase
from cinema.cli.admin.arguments import PHASES
from cinema.cluster.ring import Ring, RingNode
from cinema.domain.membership import Member, View
from cinema.domain.rejections import Refused
from cinema.features.operations.cluster import NodeUnreachable
from cinema.features.operations.node import ControlNode, LogLevels
from cinema.features.operations.service import ControlService
from cinema.features.operations.shapes import ActorsQuery, NodeAnswer, PhaseName
from cinema.storage.journal.store import StoreUnavailable
from tests.support import inspection
from tests.support.actors.in_between import LateTerms, change_plan
from tests.support.actors.virtual_time import in_virtual_time
from tests.support.actors.world import ANNA, Node, World, audited_world, hold, some_id

AnswerPeer = Callable[[bytes, bytes], Awaitable[bytes]]


class Wire:
    """What carries questions from node to node; some nodes may be cut off."""

    def __init__(self, count: int) -> None:
        members = tuple(
            Member(node_id=some_id(), host=f"10.0.0.{at}", port=8080, cluster_port=7400)
            for at in range(count)
        )
        self.view = View(version=7, members=members)
        self.ring = Ring(RingNode(one.host, one.port, one.weight) for one in members)
        self.answers: dict[bytes, AnswerPeer] = {}
        self.cut_off: set[bytes] = set()
        self.asked = 0


class Linked:
    """The cluster as one of the nodes sees it."""

    def __init__(self, wire: Wire, node_id: bytes) -> None:
        self._wire = wire
        self.node_id = node_id
        self.view = wire.view
        self.ring = wire.ring
        self.frozen = False

    def owner_of(self, showtime_id: bytes) -> Member | None:
        owner = self.ring.owner_of(showtime_id)
        return next((one for one in self.view.members if owner and one.host == owner.host), None)

    async def ask(self, node_id: bytes, payload: bytes) -> bytes:
        await asyncio.sleep(0.001)
        self._wire.asked += 1
        if node_id in self._wire.cut_off:
            raise NodeUnreachable("cut off")
        return await self._wire.answers[node_id](self.node_id, payload)


class Desk:
    """Three nodes over one journal, and the control service of each."""

    def __init__(self, world: World, nodes: list[Node]) -> None:
        self.wire = Wire(len(nodes))
        self.nodes = nodes
        self.ids = [member.node_id for member in self.wire.view.members]
        self.drained: list[int] = []
        self.levels = ["info"] * len(nodes)
        self.services = [self._service(world, at) for at in range(len(nodes))]

    def _service(self, world: World, at: int) -> ControlService:
        def change(level: str) -> None:
            self.levels[at] = level

        linked = Linked(self.wire, self.ids[at])
        node = self.nodes[at]
        local = ControlNode(
            node.kernel,
            linked,
            version="1.2.3",
            drain=lambda: self.drained.append(at),
            log_levels=LogLevels(current=lambda: self.levels[at], change=change),
        )
        service = ControlService(local, linked, node.store, world.terms)
        self.wire.answers[self.ids[at]] = service.answer_peer
        return service

    def owner(self, showtime_id: bytes) -> int:
        """Which node the ring gives a showtime to."""
        owner = self.wire.ring.owner_of(showtime_id)
        assert owner is not None
        return [one.host for one in self.wire.view.members].index(owner.host)


async def desk_of(world: World, showtimes: int) -> tuple[Desk, list[bytes]]:
    """Three nodes, each with the showtimes that are its own in memory."""
    desk = Desk(world, [await world.node() for _ in range(3)])
    ids = [world.showtime() for _ in range(showtimes)]
    for showtime_id in ids:
        await desk.nodes[desk.owner(showtime_id)].ask(showtime_id, hold(ANNA, "A1"))
    return desk, ids


async def code_of(work: Any) -> str:
    with pytest.raises(Refused) as refused:
        await work
    return refused.value.rejection.code


@in_virtual_time
async def test_every_node_shows_all_and_who_does_not_answer() -> None:
    async with audited_world() as world:
        desk, ids = await desk_of(world, 12)
        desk.wire.cut_off = {desk.ids[2]}
        shown = await desk.services[0].nodes()
        assert [one.node_id for one in shown] == [UUID(bytes=one) for one in desk.ids]
        assert [one.this for one in shown] == [True, False, False]
        assert [one.reachable for one in shown] == [True, True, False]
        assert [one.status and one.status.view_version for one in shown] == [7, 7, None]
        counted = [sum(desk.owner(one) == at for one in ids) for at in range(3)]
        assert [one.status and one.status.residents for one in shown[:2]] == counted[:2]


@in_virtual_time
async def test_actors_of_all_nodes_come_in_one_order_and_each_once() -> None:
    async with audited_world() as world:
        desk, ids = await desk_of(world, 48)
        assert len({desk.owner(one) for one in ids}) == 3
        for order in ("id", "idle", "last_used", "mailbox"):
            found: list[str] = []
            cursor = None
            while True:
                query = ActorsQuery(sort=order, limit=5, cursor=cursor)
                page, silent = await desk.services[1].actors(query)
                assert silent == []
                found += [one.showtime_id for one in page.items]
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert sorted(found) == sorted(UUID(bytes=one) for one in ids)
            if order == "id":
                assert found == sorted(found)
        desk.wire.cut_off = {desk.ids[2]}
        page, silent = await desk.services[1].actors(ActorsQuery(limit=100))
        assert silent == [UUID(bytes=desk.ids[2])]
        assert len(page.items) == sum(desk.owner(one) != 2 for one in ids)
        one_node = ActorsQuery(node_id=UUID(bytes=desk.ids[0]))
        page, _ = await desk.services[1].actors(one_node)
        assert {item.node_id for item in page.items} == {UUID(bytes=desk.ids[0])}


@in_virtual_time
async def test_a_showtime_is_seen_where_it_is_from_every_node() -> None:
    async with audited_world() as world:
        desk, (showtime_id,) = await desk_of(world, 1)
        owner = desk.owner(showtime_id)
        for service in desk.services:
            shown = await service.showtime(showtime_id)
            assert shown.memory is not None
            assert shown.memory.node_id == UUID(bytes=desk.ids[owner])
            assert shown.state is not None
            assert shown.state.live_holds[0].seats == ["A1"]
        far = (owner + 1) % 3
        desk.wire.cut_off = {desk.ids[owner]}
        stored = await desk.services[far].showtime(showtime_id)
        assert (stored.resident, stored.seq) == (False, 1)
        assert stored.unreachable == [UUID(bytes=desk.ids[owner])]
        assert await code_of(desk.services[far].passivate(showtime_id)) == "RETRY"
        desk.wire.cut_off = set()
        done = await desk.services[far].passivate(showtime_id)
        assert (done.was_resident, done.node_id) == (True, UUID(bytes=desk.ids[owner]))
        assert not desk.nodes[owner].kernel.is_resident(showtime_id)
        assert await code_of(desk.services[far].showtime(some_id())) == "NOT_FOUND"
        assert await code_of(desk.services[far].passivate(some_id())) == "NOT_FOUND"


@in_virtual_time
async def test_a_plan_that_changes_while_it_is_read_is_no_problem() -> None:
    async with audited_world() as world:
        desk, (showtime_id,) = await desk_of(world, 1)
        owner = desk.owner(showtime_id)
        far = (owner + 1) % 3
        await desk.nodes[owner].ask(showtime_id, hold(ANNA, "B1"))
        desk.wire.cut_off = {desk.ids[owner]}
        late = LateTerms(world, desk.nodes[far])
        inspection.load_stored_terms_through(desk.services[far], late)
        looking = asyncio.ensure_future(desk.services[far].showtime(showtime_id))
        await late.answer_first()
        await change_plan(world, desk.nodes[owner], showtime_id)
        late.let_go()
        shown = await looking
        assert shown.problem is None
        assert shown.state is not None
        assert shown.state.live_holds[1].seats == ["B1"]


@in_virtual_time
async def test_a_refusal_of_another_node_is_handed_on() -> None:
    async with audited_world() as world:
        desk, (showtime_id,) = await desk_of(world, 1)
        owner = desk.owner(showtime_id)
        await desk.nodes[owner].watch(showtime_id)
        far = desk.services[(owner + 1) % 3]
        assert await code_of(far.passivate(showtime_id)) == "SHOWTIME_WATCHED"


@in_virtual_time
async def test_drain_and_log_level_go_to_the_node_that_is_named() -> None:
    async with audited_world() as world:
        desk, _ = await desk_of(world, 0)
        assert (await desk.services[0].drain(desk.ids[2])).node_id == UUID(bytes=desk.ids[2])
        assert desk.drained == [2]
        assert [one.draining for one in await desk.services[1].nodes()] == [False, False, True]
        assert (await desk.services[0].log_level(desk.ids[1], "debug")).level == "debug"
        assert desk.levels == ["info", "debug", "info"]
        assert (await desk.services[2].log_level(desk.ids[1], None)).level == "debug"
        assert await code_of(desk.services[0].drain(some_id())) == "NOT_FOUND"
        desk.wire.cut_off = {desk.ids[1]}
        assert await code_of(desk.services[0].log_level(desk.ids[1], None)) == "RETRY"


@in_virtual_time
async def test_the_ring_is_shown_alike_by_all() -> None:
    async with audited_world() as world:
        desk, (showtime_id,) = await desk_of(world, 1)
        rings = [service.ring(UUID(bytes=showtime_id)) for service in desk.services]
        assert rings[0] == rings[1] == rings[2]
        assert rings[0].view_version == 7
        assert sum(one.share for one in rings[0].members) == pytest.approx(1.0, abs=1e-5)
        assert rings[0].owner is not None
        assert rings[0].owner.node_id == UUID(bytes=desk.ids[desk.owner(showtime_id)])
        assert desk.wire.asked == 0


@in_virtual_time
async def test_questions_of_other_versions_and_bugs_harm_nobody() -> None:
    async with audited_world() as world:
        desk, (showtime_id,) = await desk_of(world, 1)
        decode = msgspec.msgpack.Decoder(NodeAnswer).decode
        strange = msgspec.msgpack.encode({"type": "AskTheOracle"})
        assert decode(await desk.services[0].answer_peer(b"", strange)).code == "RETRY"

        def broken(_: str) -> None:
            raise RuntimeError("a bug")

        levels = LogLevels(current=lambda: "info", change=broken)
        inspection.set_log_levels(desk.services[1], levels)
        with structlog.testing.capture_logs() as events:
            assert await code_of(desk.services[0].log_level(desk.ids[1], "debug")) == "INTERNAL"
        assert [one["event"] for one in events] == ["control_question_failed"]
        for node in desk.nodes:
            node.store.down["load"] = StoreUnavailable("gone")
        assert await code_of(desk.services[0].showtime(world.showtime())) == "RETRY"
        # What is in memory needs no store.
        assert (await desk.services[0].showtime(showtime_id)).resident


def test_every_phase_has_its_name() -> None:
    names = {phase.value for phase in Phase}
    assert set(get_args(PhaseName)) == names
    assert set(PHASES) == names - {"gone"}
