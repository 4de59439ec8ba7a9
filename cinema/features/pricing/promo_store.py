"""Promo codes in Postgres."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final
from uuid import UUID

import msgspec

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.rejections import Refused, refuse
from cinema.features.accounts.user_store import Act, note_act
from cinema.features.pricing.rules import promo_key
from cinema.features.pricing.shapes import Gone, PromoCode, PromoInput, PromoTerms
from cinema.storage.database.driver import Record
from cinema.storage.database.reads import PrimaryReads, Reads
from cinema.storage.database.transactions import Pool, PooledConnection, run_once, transaction

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

_PROMO: Final = "id, code, terms::text, uses, version"
_BY_ID: Final = f"select {_PROMO} from promo_codes where id = $1 and deleted_at is null"
_LOCK: Final = f"{_BY_ID} for update"
_BY_KEY: Final = f"select {_PROMO} from promo_codes where code_key = $1 and deleted_at is null"
# Null for a caller who may see all; those without cinemas are for all of them.
_LIST: Final = f"""
select {_PROMO} from promo_codes
where id > $1 and deleted_at is null
    and ($2::uuid[] is null or cinema_ids && $2)
    and ($3::uuid is null or cinema_ids @> array[$3])
order by id limit $4"""
# Whoever adds the same code at the same time waits in the index, and then finds it.
_ADD: Final = f"""
insert into promo_codes (
    id, code, code_key, cinema_ids, terms, max_uses, created_at, created_by
) values ($1, $2, $3, $4, $5::text::jsonb, $6, $7, $8)
on conflict (code_key) where deleted_at is null do nothing
returning {_PROMO}"""
_CHANGE: Final = f"""
update promo_codes set cinema_ids = $2, terms = $3::text::jsonb, max_uses = $4, updated_at = $5,
    updated_by = $6, version = version + 1
where id = $1 returning {_PROMO}"""
_DELETE: Final = """
update promo_codes set deleted_at = $2, updated_at = $2, updated_by = $3, version = version + 1
where id = $1"""
_KNOWN_FILMS: Final = "select count(*) from movies where id = any($1::uuid[])"
_KNOWN_CINEMAS: Final = """
select count(*) from cinemas where id = any($1::uuid[]) and deleted_at is null"""

FIRST_ID: Final = UUID(int=0)


class PromosRepository:
    """Reads and writes promo codes."""

    def __init__(self, pool: Pool, reads: Reads | None = None) -> None:
        self._pool = pool
        self._reads = reads or PrimaryReads(pool)

    async def list(
        self,
        of_cinemas: Collection[UUID] | None,
        cinema_id: UUID | None,
        after_id: UUID | None,
        limit: int,
    ) -> list[PromoCode]:
        """Codes in the order they were made: those that name one of the cinemas, None for all."""
        rows = await self._reads.fetch(
            _LIST,
            after_id or FIRST_ID,
            None if of_cinemas is None else list(of_cinemas),
            cinema_id,
            limit,
        )
        return [_promo(row) for row in rows]

    async def find(self, promo_id: UUID) -> PromoCode | None:
        """The code of an id."""
        row = await self._reads.fetchrow(_BY_ID, promo_id)
        return None if row is None else _promo(row)

    async def look_up(self, text: str) -> PromoCode | None:
        """The code as a customer has typed it."""
        row = await self._reads.fetchrow(_BY_KEY, promo_key(text))
        return None if row is None else _promo(row)

    async def add(
        self, promo_id: UUID, request: PromoInput, act: Act, key: IdempotencyKey | None
    ) -> PromoCode:
        """The new code. Refuses UNKNOWN_REFERENCE, NAME_TAKEN."""

        async def insert(running: PooledConnection) -> PromoCode:
            await _check_references(running, request)
            row = await running.fetchrow(
                _ADD,
                promo_id,
                request.code,
                promo_key(request.code),
                request.cinema_ids,
                _json(terms_of(request)),
                request.max_uses,
                act.at,
                act.by,
            )
            if row is None:
                raise refuse("NAME_TAKEN", "There is such a code already.", path="$.code")
            made = _promo(row)
            await _note(running, "promo_code_added", promo_id, act, None, made)
            return made

        return await run_once(self._pool, key, act.at, PromoCode, insert)

    async def change(
        self,
        promo_id: UUID,
        seen: Collection[int],
        terms: PromoTerms,
        act: Act,
        allow: Callable[[PromoCode], None],
    ) -> PromoCode:
        """The code as it is now; `allow` is shown it before, under its lock, and may refuse.

        Refuses NOT_FOUND, PRECONDITION_FAILED, UNKNOWN_REFERENCE, and VALIDATION_ERROR for fewer
        uses than there were.
        """
        async with transaction(self._pool) as running:
            before = await _locked(running, promo_id, seen, allow)
            if terms.max_uses is not None and terms.max_uses < before.uses:
                text = f"The code was used {before.uses} times already."
                raise refuse("VALIDATION_ERROR", text, path="$.max_uses")
            await _check_references(running, terms)
            row = await running.fetchrow(
                _CHANGE,
                promo_id,
                terms.cinema_ids,
                _json(terms),
                terms.max_uses,
                act.at,
                act.by,
            )
            assert row is not None
            changed = _promo(row)
            await _note(running, "promo_code_changed", promo_id, act, before, changed)
            return changed

    async def delete(
        self,
        promo_id: UUID,
        seen: Collection[int],
        act: Act,
        key: IdempotencyKey | None,
        allow: Callable[[PromoCode], None],
    ) -> Gone:
        """Take a code out of use; bookings with it stay. Refuses NOT_FOUND, PRECONDITION_FAILED."""

        async def delete(running: PooledConnection) -> Gone:
            before = await _locked(running, promo_id, seen, allow)
            await running.execute(_DELETE, promo_id, act.at, act.by)
            await _note(running, "promo_code_deleted", promo_id, act, before, None)
            return Gone(id=promo_id, deleted_at=act.at)

        return await run_once(self._pool, key, act.at, Gone, delete)


def terms_of(promo: PromoCode | PromoInput) -> PromoTerms:
    """A code without its text and its counts."""
    return PromoTerms(**{name: getattr(promo, name) for name in PromoTerms.__struct_fields__})


async def _locked(
    running: PooledConnection,
    promo_id: UUID,
    seen: Collection[int],
    allow: Callable[[PromoCode], None],
) -> PromoCode:
    row = await running.fetchrow(_LOCK, promo_id)
    if row is None:
        raise refuse("NOT_FOUND")
    promo = _promo(row)
    allow(promo)
    if promo.version not in seen:
        raise _changed(promo)
    return promo


def _changed(promo: PromoCode) -> Refused:
    return refuse("PRECONDITION_FAILED", version=promo.version)


async def _check_references(running: PooledConnection, terms: PromoTerms) -> None:
    for field, ids, statement in (
        ("movie_ids", terms.movie_ids, _KNOWN_FILMS),
        ("cinema_ids", terms.cinema_ids, _KNOWN_CINEMAS),
    ):
        if ids and await running.fetchval(statement, ids) < len(set(ids)):
            raise refuse("UNKNOWN_REFERENCE", "One of these does not exist.", path=f"$.{field}")


async def _note(
    running: PooledConnection,
    action: str,
    promo_id: UUID,
    act: Act,
    before: PromoCode | None,
    after: PromoCode | None,
) -> None:
    await note_act(
        running,
        act,
        action,
        promo_id,
        before={} if before is None else msgspec.to_builtins(before),
        after={} if after is None else msgspec.to_builtins(after),
    )


def _promo(row: Record) -> PromoCode:
    terms = msgspec.json.decode(row["terms"], type=PromoTerms)
    fields = {name: getattr(terms, name) for name in PromoTerms.__struct_fields__}
    return PromoCode(
        id=row["id"], code=row["code"], uses=row["uses"], version=row["version"], **fields
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
