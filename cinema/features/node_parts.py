"""What a feature is built from: the parts of its node, and what the features before it offer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar, cast
from uuid import UUID

import msgspec

from cinema.actors.dispatch import Dispatch
from cinema.actors.kernel import Kernel
from cinema.cluster.node import ClusterNode
from cinema.domain.sale_rules import SaleRules
from cinema.domain.times import from_us
from cinema.features.feature import Feature, Question, Rest
from cinema.features.personal import Disclose
from cinema.http.connections.proxies import TrustedProxies
from cinema.http.connections.wire import ReplyWriter
from cinema.http.errors import ErrorTable
from cinema.http.turns import Turns
from cinema.integrations.objects import ObjectStore
from cinema.settings import Settings, url_of
from cinema.storage.database.address import DatabaseAddress
from cinema.storage.database.durability import DurabilityWatch
from cinema.storage.database.read_replica import ReplicaReads
from cinema.storage.database.reads import Reads
from cinema.storage.database.transactions import Pool
from cinema.storage.encryption import Cipher
from cinema.storage.journal.branches import RowBranch
from cinema.storage.redis.address import RedisAddress
from cinema.storage.resealing import SealedColumn
from cinema.telemetry.logging import LogSink
from cinema.telemetry.metrics import Metrics

T = TypeVar("T")
Limits = TypeVar("Limits", bound=msgspec.Struct)


class NodeParts(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of the node that features use.

    Each transaction in `pool` may be in another session. Work that needs one session, because it
    changes it or keeps a lock in it, takes a connection of `sessions`.

    `sold` reads what was sold: all of it is on the synchronous standby, if there is one.
    `demo_accounts` are those that the demo has, by role: address and password.
    """

    settings: Settings
    errors: ErrorTable
    pool: Pool
    sessions: Pool
    database: DatabaseAddress
    reads: ReplicaReads | None
    sold: Reads
    redis: RedisAddress | None
    kernel: Kernel
    cluster: ClusterNode | None
    dispatch: Dispatch
    durability: DurabilityWatch
    sink: LogSink
    metrics: Metrics
    proxies: TrustedProxies
    writer: ReplyWriter
    turns: Turns
    cipher: Cipher
    objects: ObjectStore
    sale_rules: SaleRules
    demo_accounts: Mapping[str, tuple[str, str]]
    next_id: Callable[[], bytes]
    unix_s: Callable[[], float]
    stack: AsyncExitStack
    looking: Callable[[Question], Rest]

    def rest(self, due: str, *values: Callable[[], object]) -> Rest:
        """How a loop rests that has something to do when `due` is so (`Question`)."""
        return self.looking(Question(due, values))

    def next_uuid(self) -> UUID:
        """A new id as features outside the hot path use it."""
        return UUID(bytes=self.next_id())

    def now(self) -> datetime:
        """The present time, by the clock of tokens and the catalogue."""
        return datetime.fromtimestamp(self.unix_s(), UTC)

    def common_time(self) -> datetime:
        """The time that all nodes share: by it one knows that another's lease has ended."""
        return from_us(self.kernel.clock.now_us())

    @property
    def base_url(self) -> str:
        """Where links in mails lead; a request cannot choose that."""
        return self.settings.public_url or url_of(self.settings.host, self.settings.port)

    def owner_of(self) -> Callable[[bytes], str | None] | None:
        """A function from a showtime to its owner's address; None if there is only this node."""
        return None if self.cluster is None else self.cluster.placement.address_of_owner

    def limits(self, kind: type[Limits]) -> Limits:
        """Limits that each have a setting of their name."""
        names = (field.name for field in msgspec.structs.fields(kind))
        return kind(**{name: getattr(self.settings, name) for name in names})


class Offered:
    """What features offer to the features after them in the list, each part under its class.

    `personal` is what each of them knows of an account; `privacy`, which collects it, comes last.
    """

    def __init__(self, *parts: object) -> None:
        self.personal: list[Disclose] = []
        self._parts: dict[type, Any] = {type(part): part for part in parts}

    def add(self, part: T) -> T:
        """Offer a part; there is one of each class."""
        assert type(part) not in self._parts, f"two parts are a {type(part).__name__}"
        self._parts[type(part)] = part
        return part

    def __getitem__(self, kind: type[T]) -> T:
        """The part of this class. An earlier feature has offered it."""
        return cast("T", self._parts[kind])


Build = Callable[[NodeParts, Offered], Awaitable[Feature]]


class Listed(NamedTuple):
    """A feature as the list has it: how it is built, and what is known before anything is.

    `errors` are the codes of its refusals, `tags` say what its operations are for. `rows` are those
    that it writes with events: features need the kernel, and the kernel needs the rows. `sealed`
    are the columns that it keeps sealed, `programs` what it does in processes that are forked
    (`integrations/forks.py`).
    """

    build: Build
    errors: ErrorTable = MappingProxyType({})
    tags: Mapping[str, str] = MappingProxyType({})
    rows: tuple[RowBranch, ...] = ()
    sealed: tuple[SealedColumn, ...] = ()
    programs: tuple[str, ...] = ()
