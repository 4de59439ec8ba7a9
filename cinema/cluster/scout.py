"""One node looks for all: what comes due, and what dead nodes have left.

That node is the scout, the first member of the view that stays. The others ask it instead of
Postgres. Its answers are hints. Who gets none that covers the time until the next question asks the
second member, which then looks for all; who gets none there either looks for itself, as a node
alone does. So a scout that is slow, frozen or cut off costs statements and never time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from cinema.actors.activation import NextPage
from cinema.actors.kernel import Kernel
from cinema.actors.slices import Slices
from cinema.cluster.peers import PeerLost, PeerRefused, Peers
from cinema.cluster.placement import Placement
from cinema.domain.limits import (
    DUE_SHARED_AHEAD_S,
    DUE_SWEEP_S,
    LEFT_BEHIND_PAGE,
)
from cinema.domain.membership import Member

DUE_TOPIC: Final = "due"
ESTATE_TOPIC: Final = "estate"

SCOUTS: Final = 2
"""Members that are asked, one after the other, for what comes due."""

DUE_ANSWER_S: Final = 0.2
"""How long one may take to answer: both together leave half a second of the second that is
searched ahead."""

ESTATE_WAIT_S: Final = 2.0
"""How long the scout keeps a question that it has no news for; if it has not read one page of heads
by then either, the asker looks for itself."""

ESTATE_ANSWER_S: Final = 0.5
"""How much longer its answer may take."""

ESTATE_KEPT_S: Final = 30.0
"""How long the scout remembers an estate that it has looked through."""

_encode = msgspec.msgpack.Encoder().encode


class _DueQuestion(msgspec.Struct, frozen=True, array_like=True):
    version: int


class _DueAnswer(msgspec.Struct, frozen=True, array_like=True):
    """All showtimes of the asker that come due until a moment."""

    until_us: int
    showtime_ids: list[bytes]


class _EstateQuestion(msgspec.Struct, frozen=True, array_like=True):
    """What dead nodes have left by the view of `version`; `seen` pages of `estate` were told."""

    version: int
    estate: int
    seen: int


class _EstateAnswer(msgspec.Struct, frozen=True, array_like=True):
    """The asker's part of what comes behind; `seen` is for the next question.

    `looked` rises as long as the search goes on.
    """

    estate: int
    seen: int
    looked: int
    is_over: bool
    showtime_ids: list[bytes]


_due_question = msgspec.msgpack.Decoder(_DueQuestion).decode
_due_answer = msgspec.msgpack.Decoder(_DueAnswer).decode
_estate_question = msgspec.msgpack.Decoder(_EstateQuestion).decode
_estate_answer = msgspec.msgpack.Decoder(_EstateAnswer).decode


class _NotTold(Exception):
    """The scout does not say what dead nodes have left."""


class _Finds:
    """Some showtimes of all nodes; `shares` are by owner, by the view of `version`.

    Owners are looked up once for all that ask: with many nodes that takes longer than the search.
    """

    def __init__(self, showtime_ids: Sequence[bytes]) -> None:
        self.showtime_ids = showtime_ids
        self.version = -1
        self.shares: dict[bytes, list[bytes]] = {}
        self.sharing = asyncio.Lock()


class _DueFound(_Finds):
    """All that comes due until a moment."""

    def __init__(self, until_us: int, showtime_ids: Sequence[bytes]) -> None:
        super().__init__(showtime_ids)
        self.until_us = until_us


class _Estate:
    """What dead nodes have left by the view of `version`, page by page, as far as it is known."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.pages: list[_Finds] = []
        self.looked = 0
        self.is_over = False
        self.is_lost = False


class Scout:
    """Both sides of one node: asking the scout, and being it; a `DueNews`."""

    def __init__(self, kernel: Kernel, placement: Placement, peers: Peers) -> None:
        self._kernel = kernel
        self._clock = kernel.clock
        self._placement = placement
        self._peers = peers
        self._found = _DueFound(0, ())
        self._estate = _Estate(0)
        self._news = asyncio.Event()
        peers.answer(DUE_TOPIC, self._tell_due)
        peers.answer(ESTATE_TOPIC, self._tell_estate)

    def _scouts(self) -> tuple[Member, ...]:
        return self._placement.view.owners()[:SCOUTS]

    async def _share(self, found: _Finds) -> None:
        """Put what was found under its owners by the present view, if no other one comes first."""
        async with found.sharing:
            version = self._placement.view.version
            if found.version == version:
                return
            found.shares, found.version = {}, -1
            slices = Slices(self._clock.boot_ns)
            for showtime_id in found.showtime_ids:
                owner = self._placement.owner_of(showtime_id)
                if owner is not None:
                    found.shares.setdefault(owner.node_id, []).append(showtime_id)
                await slices.give_way()
            if self._placement.view.version == version:
                found.version = version

    # --- what comes due

    @property
    def ahead_s(self) -> float:
        """See `DueNews.ahead_s`."""
        return DUE_SHARED_AHEAD_S

    async def told(self) -> Sequence[bytes] | None:
        """See `DueNews.told`."""
        for member in self._scouts():
            if member.node_id == self._placement.node_id:
                return None
            showtime_ids = await self._ask_due(member)
            if showtime_ids is not None:
                return showtime_ids
        return None

    async def _ask_due(self, member: Member) -> Sequence[bytes] | None:
        question = _encode(_DueQuestion(self._placement.view.version))
        try:
            told = _due_answer(
                await self._peers.peer(member).ask(DUE_TOPIC, question, DUE_ANSWER_S)
            )
        except (PeerLost, PeerRefused, msgspec.MsgspecError):
            # Another build may have another answer.
            return None
        next_look_us = self._clock.now_us() + int(DUE_SWEEP_S * 1_000_000)
        return told.showtime_ids if told.until_us >= next_look_us else None

    def found(self, until_us: int, showtime_ids: Sequence[bytes]) -> None:
        """See `DueNews.found`."""
        self._found = _DueFound(until_us, showtime_ids)

    async def _tell_due(self, peer_id: bytes, payload: bytes) -> bytes:
        version = _due_question(payload).version
        found = self._found
        if found.until_us < self._clock.now_us():
            raise PeerRefused("this node does not search")
        await self._share(found)
        if found.version != version:
            # Nobody might wake a showtime that each takes for the other's.
            raise PeerRefused("another view")
        return _encode(_DueAnswer(found.until_us, found.shares.get(peer_id, [])))

    # --- what dead nodes have left

    def view_changed(self, *, has_lost: bool) -> None:
        """Another view; if somebody has died by it, `inherit` comes next."""
        scouts = self._scouts()
        if has_lost and scouts and scouts[0].node_id == self._placement.node_id:
            self._estate = _Estate(self._placement.view.version)
        self._tell_news()

    async def inherit(self, version: int) -> int:
        """Fence off those that are missing in the view of `version`; see `Kernel.inherit`.

        Raises `StoreUnavailable`.
        """
        me, estate, scouts = self._placement.node_id, self._estate, self._scouts()
        if estate.version == version:
            try:
                return await self._kernel.inherit(me, self._recorded(estate))
            except BaseException:
                estate.is_lost = True
                self._tell_news()
                raise
        if not scouts or scouts[0].node_id == me:
            return await self._kernel.inherit(me)
        try:
            return await self._kernel.inherit(
                me, _ToldEstate(self._peers, scouts[0], version).next_page
            )
        except _NotTold:
            return await self._kernel.inherit(me)

    def _recorded(self, estate: _Estate) -> NextPage:
        """This node's own search, which the others hear of."""
        search = self._kernel.left_behind()

        async def next_page() -> Sequence[bytes] | None:
            page = await search()
            estate.looked += 1
            if page is None:
                estate.is_over = True
                asyncio.get_running_loop().call_later(ESTATE_KEPT_S, self._forget, estate)
            elif page:
                estate.pages.append(_Finds(page))
            self._tell_news()
            return page

        return next_page

    def _forget(self, estate: _Estate) -> None:
        if self._estate is estate:
            self._estate = _Estate(0)

    def _tell_news(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def _tell_estate(self, peer_id: bytes, payload: bytes) -> bytes:
        question = _estate_question(payload)
        try:
            async with asyncio.timeout(ESTATE_WAIT_S):
                while not self._knows_more(question):
                    await self._news.wait()
        except TimeoutError:
            pass
        estate = self._estate
        if estate.version < question.version or estate.is_lost:
            raise PeerRefused("this node has not looked")
        seen, mine, told = self._seen(estate, question), list[bytes](), 0
        while seen < len(estate.pages) and told < LEFT_BEHIND_PAGE:
            page = estate.pages[seen]
            await self._share(page)
            mine += page.shares.get(peer_id, ())
            told += len(page.showtime_ids)
            seen += 1
        is_over = estate.is_over and seen == len(estate.pages)
        return _encode(_EstateAnswer(estate.version, seen, estate.looked, is_over, mine))

    def _knows_more(self, question: _EstateQuestion) -> bool:
        """Whether there is something to say, be it that this node has not looked for it."""
        estate = self._estate
        if estate.version < question.version:
            return self._placement.view.version >= question.version
        is_more = len(estate.pages) > self._seen(estate, question)
        return is_more or estate.is_over or estate.is_lost

    @staticmethod
    def _seen(estate: _Estate, question: _EstateQuestion) -> int:
        return question.seen if estate.version == question.estate else 0


class _ToldEstate:
    """What the scout says that dead nodes have left to this node."""

    def __init__(self, peers: Peers, scout: Member, version: int) -> None:
        self._peers = peers
        self._scout = scout
        self._version = version
        self._estate = 0
        self._seen = 0
        self._looked = 0
        self._is_over = False

    async def next_page(self) -> Sequence[bytes] | None:
        """See `NextPage`. Raises `_NotTold` as well."""
        if self._is_over:
            return None
        before = (self._estate, self._seen, self._looked)
        answer = await self._ask()
        self._estate, self._seen, self._looked = answer.estate, answer.seen, answer.looked
        self._is_over = answer.is_over
        if not answer.is_over and (answer.estate, answer.seen, answer.looked) == before:
            # Its Postgres does not answer, or it is frozen now and then.
            raise _NotTold
        return answer.showtime_ids

    async def _ask(self) -> _EstateAnswer:
        question = _encode(_EstateQuestion(self._version, self._estate, self._seen))
        try:
            return _estate_answer(
                await self._peers.peer(self._scout).ask(
                    ESTATE_TOPIC, question, ESTATE_WAIT_S + ESTATE_ANSWER_S
                )
            )
        except (PeerLost, PeerRefused, msgspec.MsgspecError) as error:
            raise _NotTold from error
