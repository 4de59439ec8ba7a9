"""Price books in Postgres; a trigger makes the next version of a book with each change.

Everybody who changes a book locks its row first: the number of rules is counted under that lock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final
from uuid import UUID

import msgspec

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.pricing.book import RULES_LIMIT, BookSettings, PriceBook
from cinema.domain.rejections import refuse
from cinema.features.accounts.user_store import Act, note_act
from cinema.features.pricing.shapes import (
    Gone,
    PriceRule,
    RuleFields,
    RuleInput,
    SettingsOfPrices,
)
from cinema.features.refusals import lost_update
from cinema.storage.database.driver import Record
from cinema.storage.database.reads import PrimaryReads, Reads
from cinema.storage.database.transactions import (
    Pool,
    PooledConnection,
    connection,
    run_once,
    transaction,
)

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

_SETTINGS: Final = """
select head.cinema_id, head.settings_version, head.version as book_version, cinema.currency,
    cinema.tax_rates::text, head.settings::text
from price_books head join cinemas cinema on cinema.id = head.cinema_id
where head.cinema_id = $1 and cinema.deleted_at is null"""
_LOCK_SETTINGS: Final = f"{_SETTINGS} for no key update of head"
_LOCK_BOOK: Final = """
select true from price_books head join cinemas cinema on cinema.id = head.cinema_id
where head.cinema_id = $1 and cinema.deleted_at is null for no key update of head"""
_CHANGE_SETTINGS: Final = """
update price_books set settings = $2::text::jsonb, settings_version = settings_version + 1,
    updated_at = $3, updated_by = $4
where cinema_id = $1"""

_RULE: Final = "id, cinema_id, rule::text, version"
_RULES_OF: Final = f"""
select {_RULE} from price_rules
where cinema_id = $1 and id > $2 and deleted_at is null order by id limit $3"""
_RULE_BY_ID: Final = f"select {_RULE} from price_rules where id = $1 and deleted_at is null"
_LOCK_RULE: Final = f"{_RULE_BY_ID} for update"
_RULE_COUNT: Final = """
select count(*) from price_rules where cinema_id = $1 and deleted_at is null"""
_ADD_RULE: Final = f"""
insert into price_rules (id, cinema_id, rule, created_at, created_by)
values ($1, $2, $3::text::jsonb, $4, $5) returning {_RULE}"""
_CHANGE_RULE: Final = f"""
update price_rules set rule = $2::text::jsonb, updated_at = $3, updated_by = $4,
    version = version + 1
where id = $1 returning {_RULE}"""
_DELETE_RULE: Final = """
update price_rules set deleted_at = $2, updated_at = $2, updated_by = $3, version = version + 1
where id = $1"""

_BOOK_OF_SHOWTIME: Final = """
select showtime.cinema_id, showtime.format, head.version
from showtimes showtime join price_books head on head.cinema_id = showtime.cinema_id
where showtime.id = $1"""
_BOOK: Final = """
select book::text from price_book_versions where cinema_id = $1 and version = $2"""

_CHANGED_VERSIONS: Final = """
select head.cinema_id, head.version
from unnest($1::uuid[], $2::bigint[]) as seen (cinema_id, version)
join price_books head on head.cinema_id = seen.cinema_id
where head.version <> seen.version"""

FIRST_ID: Final = UUID(int=0)


class BookOfShowtime(msgspec.Struct, frozen=True):
    """Which book a showtime is sold by now, and what the showtime's terms do not say."""

    cinema_id: UUID
    format: str
    version: int


class PricesRepository:
    """Reads and writes the settings and rules of price books, and reads their versions."""

    def __init__(self, pool: Pool, reads: Reads | None = None) -> None:
        self._pool = pool
        self._reads = reads or PrimaryReads(pool)

    # --- settings

    async def find_settings(self, cinema_id: UUID) -> SettingsOfPrices | None:
        """The settings of a cinema's book."""
        row = await self._reads.fetchrow(_SETTINGS, cinema_id)
        return None if row is None else _settings(row)

    async def change_settings(
        self,
        cinema_id: UUID,
        seen: Collection[int],
        settings: BookSettings,
        act: Act,
        allow: Callable[[Mapping[str, int]], None],
    ) -> SettingsOfPrices:
        """The settings as they are now; `allow` is told the cinema's tax rates, and may refuse.

        Refuses NOT_FOUND, PRECONDITION_FAILED.
        """
        async with transaction(self._pool) as running:
            row = await running.fetchrow(_LOCK_SETTINGS, cinema_id)
            if row is None or row["settings_version"] not in seen:
                raise lost_update(None if row is None else row["settings_version"])
            allow(msgspec.json.decode(row["tax_rates"], type=dict[str, int]))
            before = _settings(row).settings
            await running.execute(_CHANGE_SETTINGS, cinema_id, _json(settings), act.at, act.by)
            await _note(running, "price_settings_changed", cinema_id, act, before, settings)
            changed = await running.fetchrow(_SETTINGS, cinema_id)
            assert changed is not None
            return _settings(changed)

    # --- rules

    async def list_rules(
        self, cinema_id: UUID, after_id: UUID | None, limit: int
    ) -> list[PriceRule]:
        """Rules of a cinema in the order they were made."""
        rows = await self._reads.fetch(_RULES_OF, cinema_id, after_id or FIRST_ID, limit)
        return [_rule(row) for row in rows]

    async def find_rule(self, rule_id: UUID) -> PriceRule | None:
        """The rule of an id."""
        row = await self._reads.fetchrow(_RULE_BY_ID, rule_id)
        return None if row is None else _rule(row)

    async def add_rule(
        self, rule_id: UUID, request: RuleInput, act: Act, key: IdempotencyKey | None
    ) -> PriceRule:
        """The new rule. Refuses UNKNOWN_REFERENCE, PRICE_RULE_LIMIT."""

        async def insert(running: PooledConnection) -> PriceRule:
            if not await running.fetchval(_LOCK_BOOK, request.cinema_id):
                raise refuse("UNKNOWN_REFERENCE", "There is no such cinema.", path="$.cinema_id")
            if await running.fetchval(_RULE_COUNT, request.cinema_id) >= RULES_LIMIT:
                raise refuse("PRICE_RULE_LIMIT", limit=RULES_LIMIT)
            text = _json(_fields(request))
            row = await running.fetchrow(
                _ADD_RULE, rule_id, request.cinema_id, text, act.at, act.by
            )
            await _note(running, "price_rule_added", rule_id, act, {}, _fields(request))
            assert row is not None
            return _rule(row)

        return await run_once(self._pool, key, act.at, PriceRule, insert)

    async def change_rule(
        self, rule_id: UUID, seen: Collection[int], request: RuleFields, act: Act
    ) -> PriceRule:
        """The rule as it is now. Refuses NOT_FOUND, PRECONDITION_FAILED."""
        async with transaction(self._pool) as running:
            before = await _locked_rule(running, rule_id, seen)
            row = await running.fetchrow(
                _CHANGE_RULE, rule_id, _json(_fields(request)), act.at, act.by
            )
            await _note(
                running, "price_rule_changed", rule_id, act, _fields(before), _fields(request)
            )
            assert row is not None
            return _rule(row)

    async def delete_rule(
        self, rule_id: UUID, seen: Collection[int], act: Act, key: IdempotencyKey | None
    ) -> Gone:
        """Take a rule out of its book. Refuses NOT_FOUND, PRECONDITION_FAILED."""

        async def delete(running: PooledConnection) -> Gone:
            before = await _locked_rule(running, rule_id, seen)
            await running.execute(_DELETE_RULE, rule_id, act.at, act.by)
            await _note(running, "price_rule_deleted", rule_id, act, _fields(before), {})
            return Gone(id=rule_id, deleted_at=act.at)

        return await run_once(self._pool, key, act.at, Gone, delete)

    # --- versions

    async def book_of_showtime(self, showtime_id: UUID) -> BookOfShowtime | None:
        """The current book of a showtime's cinema."""
        row = await self._reads.fetchrow(_BOOK_OF_SHOWTIME, showtime_id)
        return None if row is None else BookOfShowtime(*row.values())

    async def changed_versions(self, seen: Mapping[bytes, int]) -> dict[UUID, int]:
        """The versions of books, from the primary, where they are not those that were seen."""
        async with connection(self._pool) as reading:
            rows = await reading.fetch(
                _CHANGED_VERSIONS, [UUID(bytes=one) for one in seen], list(seen.values())
            )
        return {row["cinema_id"]: row["version"] for row in rows}

    async def book(self, cinema_id: UUID, version: int) -> PriceBook | None:
        """A version of a book, from the primary: it may be a moment old."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_BOOK, cinema_id, version)
        return None if row is None else msgspec.json.decode(row["book"], type=PriceBook)


async def _locked_rule(
    running: PooledConnection, rule_id: UUID, seen: Collection[int]
) -> PriceRule:
    row = await running.fetchrow(_LOCK_RULE, rule_id)
    if row is None or row["version"] not in seen:
        raise lost_update(None if row is None else row["version"])
    return _rule(row)


async def _note(
    running: PooledConnection, action: str, target_id: UUID, act: Act, before: object, after: object
) -> None:
    await note_act(
        running,
        act,
        action,
        target_id,
        before=msgspec.to_builtins(before),
        after=msgspec.to_builtins(after),
    )


def _fields(rule: RuleFields | PriceRule) -> dict[str, Any]:
    return {name: getattr(rule, name) for name in RuleFields.__struct_fields__}


def _settings(row: Record) -> SettingsOfPrices:
    return SettingsOfPrices(
        cinema_id=row["cinema_id"],
        version=row["settings_version"],
        book_version=row["book_version"],
        currency=row["currency"],
        settings=msgspec.json.decode(row["settings"], type=BookSettings),
    )


def _rule(row: Record) -> PriceRule:
    fields = msgspec.json.decode(row["rule"], type=RuleFields)
    return PriceRule(
        id=row["id"], cinema_id=row["cinema_id"], version=row["version"], **_fields(fields)
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
