"""What operators see and do in the cluster, from any of its nodes."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog

from cinema.actors.activation import TermsLoader
from cinema.actors.restore import DamagedJournal, replayed
from cinema.domain.ids import format_id
from cinema.domain.membership import Member
from cinema.domain.paging import BY_NUMBER, Page, after, page
from cinema.domain.rejections import Refused, Rejection, refuse
from cinema.features.operations.cluster import Cluster, NodeUnreachable
from cinema.features.operations.node import ControlNode, place, state_shown
from cinema.features.operations.shapes import (
    ActorShown,
    ActorsQuery,
    AnyAsk,
    AskActors,
    AskDrain,
    AskLogLevel,
    AskPassivate,
    AskShowtime,
    AskStatus,
    Draining,
    LevelName,
    LogLevel,
    NodeAnswer,
    NodeShown,
    NodeStatus,
    Owner,
    Passivated,
    RingMember,
    RingShown,
    ShowtimeShown,
)
from cinema.features.refusals import found, granted
from cinema.storage.journal.store import JournalStore, Loaded, StoreUnavailable

CONTROL_QUESTION_FAILED: Final = "control_question_failed"

_encode: Final = msgspec.msgpack.Encoder().encode
_decode_ask: Final = msgspec.msgpack.Decoder(AnyAsk).decode
_decode_answer: Final = msgspec.msgpack.Decoder(NodeAnswer).decode
_DATA: Final[dict[type, msgspec.msgpack.Decoder[Any]]] = {
    AskStatus: msgspec.msgpack.Decoder(NodeStatus),
    AskActors: msgspec.msgpack.Decoder(list[ActorShown]),
    AskShowtime: msgspec.msgpack.Decoder(ShowtimeShown | None),
    AskPassivate: msgspec.msgpack.Decoder(Passivated),
    AskDrain: msgspec.msgpack.Decoder(Draining),
    AskLogLevel: msgspec.msgpack.Decoder(LogLevel),
}
"""The type of the answer to each question."""

log = structlog.get_logger(__name__)


class ControlService:
    """Use cases of operators. Each raises `Refused`.

    Something about one node is a question (`AnyAsk`). This node answers it or sends it to another
    one, which calls `answer_peer` with it. `journal` and `terms` are for showtimes that no node
    has in memory.
    """

    def __init__(
        self, node: ControlNode, cluster: Cluster, journal: JournalStore, terms: TermsLoader
    ) -> None:
        self._node = node
        self._cluster = cluster
        self._journal = journal
        self._terms = terms

    # --- nodes

    async def nodes(self, patience_s: float | None = None) -> list[NodeShown]:
        """All members, each with its own report, if it comes within `patience_s`."""
        members = self._cluster.view.members
        answers = await asyncio.gather(*(self._status(one.node_id, patience_s) for one in members))
        return [
            NodeShown(
                node_id=UUID(bytes=one.node_id),
                address=one.address,
                weight=one.weight,
                draining=one.draining or (status is not None and status.draining),
                this=one.node_id == self._cluster.node_id,
                reachable=status is not None,
                status=status,
            )
            for one, status in zip(members, answers, strict=True)
        ]

    async def _status(self, node_id: bytes, patience_s: float | None) -> NodeStatus | None:
        try:
            async with asyncio.timeout(patience_s):
                status: NodeStatus | None = await self._try(node_id, AskStatus())
        except TimeoutError:
            return None
        return status

    def ring(self, showtime_id: UUID | None) -> RingShown:
        """The ring of the newest view, and the owner of a showtime on it."""
        members = self._cluster.view.members
        shares = {node.address: share for node, share in self._cluster.ring.shares().items()}
        return RingShown(
            view_version=self._cluster.view.version,
            members=[
                RingMember(
                    node_id=UUID(bytes=one.node_id),
                    address=one.address,
                    weight=one.weight,
                    draining=one.draining,
                    share=round(shares.get(one.address, 0.0), 6),
                )
                for one in members
            ],
            owner=None if showtime_id is None else self._owner(showtime_id),
        )

    def _owner(self, showtime_id: UUID) -> Owner | None:
        owner = self._cluster.owner_of(showtime_id.bytes)
        if owner is None:
            return None
        return Owner(
            showtime_id=showtime_id, node_id=UUID(bytes=owner.node_id), address=owner.address
        )

    async def drain(self, node_id: bytes) -> Draining:
        """Make a node hand its showtimes over and end."""
        answer: Draining = await self._ask(self._member(node_id).node_id, AskDrain())
        return answer

    async def log_level(self, node_id: bytes, level: LevelName | None) -> LogLevel:
        """The log level of a node; it is set first if one is given."""
        ask = AskLogLevel(level=level)
        answer: LogLevel = await self._ask(self._member(node_id).node_id, ask)
        return answer

    # --- actors

    async def actors(self, query: ActorsQuery) -> tuple[Page[ActorShown], list[UUID]]:
        """One page over all nodes (or the given one), and the nodes that did not answer."""
        ask = AskActors(
            order=query.sort,
            limit=query.limit + 1,
            after=granted(after(query.cursor, BY_NUMBER)),
            phase=query.phase,
            lane=query.lane,
            watched=query.watched,
            min_mailbox=query.min_mailbox,
        )
        members = self._asked(query.node_id)
        answers: list[list[ActorShown] | None] = await asyncio.gather(
            *(self._try(one.node_id, ask) for one in members)
        )
        lists = [answer for answer in answers if answer is not None]
        merged = list(heapq.merge(*lists, key=lambda one: place(query.sort, one)))
        silent = [
            UUID(bytes=one.node_id)
            for one, answer in zip(members, answers, strict=True)
            if answer is None
        ]
        return page(merged, query.limit, lambda one: place(query.sort, one)), silent

    def _asked(self, node_id: UUID | None) -> Sequence[Member]:
        if node_id is None:
            return self._cluster.view.members
        return (self._member(node_id.bytes),)

    # --- one showtime

    async def showtime(self, showtime_id: bytes) -> ShowtimeShown:
        """From the memory of its node, else as it is stored."""
        ask = AskShowtime(showtime_id=showtime_id)
        unreachable: list[UUID] = []
        for node_id in self._near(showtime_id):
            try:
                shown: ShowtimeShown | None = await self._ask(node_id, ask)
            except Refused as refused:
                if refused.rejection.code != "RETRY":
                    raise
                unreachable.append(UUID(bytes=node_id))
                continue
            if shown is not None:
                return shown
        stored = await self._stored(showtime_id)
        return msgspec.structs.replace(stored, unreachable=unreachable)

    async def passivate(self, showtime_id: bytes) -> Passivated:
        """Remove a showtime from the memory of any node."""
        ask = AskPassivate(showtime_id=showtime_id)
        found(await self._load(showtime_id))
        answers: list[Passivated] = [
            await self._ask(node_id, ask) for node_id in self._near(showtime_id)
        ]
        return next((one for one in answers if one.was_resident), answers[0])

    def _near(self, showtime_id: bytes) -> list[bytes]:
        """Nodes that may have it in memory: this one, and the owner by the ring."""
        here = self._cluster.node_id
        owner = self._cluster.owner_of(showtime_id)
        return [here] if owner is None or owner.node_id == here else [here, owner.node_id]

    async def _stored(self, showtime_id: bytes) -> ShowtimeShown:
        """As it is stored; read twice if it does not fit, because the plan may have changed."""
        shown = await self._stored_now(showtime_id)
        return shown if shown.problem is None else await self._stored_now(showtime_id)

    async def _stored_now(self, showtime_id: bytes) -> ShowtimeShown:
        try:
            # Before the journal, so that the journal shows every plan that these terms do not know.
            terms = await self._terms.load_terms(showtime_id)
        except StoreUnavailable:
            raise refuse("RETRY") from None
        terms = found(terms)
        loaded = found(await self._load(showtime_id))
        state, problem = None, None
        try:
            state = state_shown(replayed(loaded, terms).state, terms.plan)
        except DamagedJournal as error:
            problem = str(error)
        return ShowtimeShown(
            showtime_id=UUID(bytes=showtime_id),
            resident=False,
            epoch=loaded.epoch,
            seq=loaded.seq,
            snapshot_seq=loaded.snapshot_seq,
            state=state,
            problem=problem,
        )

    async def _load(self, showtime_id: bytes) -> Loaded | None:
        try:
            return await self._journal.load(showtime_id)
        except StoreUnavailable:
            raise refuse("RETRY") from None

    # --- questions

    def _member(self, node_id: bytes) -> Member:
        member = self._cluster.view.member(node_id)
        return found(member, "No such node belongs to the cluster.")

    async def _try(self, node_id: bytes, ask: AnyAsk) -> Any:
        """The answer of a node, None if there is none."""
        try:
            return await self._ask(node_id, ask)
        except Refused as refused:
            if refused.rejection.code != "RETRY":
                raise
            return None

    async def _ask(self, node_id: bytes, ask: AnyAsk) -> Any:
        """The answer of a node, of the question's type. Refuses RETRY if there is none."""
        if node_id == self._cluster.node_id:
            return await self._node.answer(ask)
        try:
            raw = await self._cluster.ask(node_id, _encode(ask))
        except NodeUnreachable:
            told = "A node of the cluster did not answer."
            raise refuse("RETRY", told, node_id=format_id(node_id)) from None
        return _DATA[type(ask)].decode(granted(_data_of(_decode_answer(raw))))

    async def answer_peer(self, _peer_id: bytes, payload: bytes) -> bytes:
        """Answer a question of another node: the receiving end of `Cluster.ask`."""
        try:
            data = await self._node.answer(_decode_ask(payload))
        except Refused as refused:
            told = refused.rejection
            details = None if told.details is None else dict(told.details)
            return _encode(NodeAnswer(code=told.code, message=told.message, details=details))
        except msgspec.MsgspecError:
            return _encode(NodeAnswer(code="RETRY", message="A node has another version."))
        except Exception:
            log.exception(CONTROL_QUESTION_FAILED)
            return _encode(NodeAnswer(code="INTERNAL"))
        return _encode(NodeAnswer(data=msgspec.Raw(_encode(data))))


def _data_of(answer: NodeAnswer) -> msgspec.Raw | Rejection:
    """The data in another node's answer; raises its refusal."""
    if answer.code:
        return Rejection(code=answer.code, message=answer.message, details=answer.details)
    return answer.data
