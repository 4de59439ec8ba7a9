"""Whatever is kept sealed is sealed anew when keys change: the list and the schema agree."""

from __future__ import annotations

import importlib
import pkgutil
from uuid import UUID

import pytest

import cinema.features
from cinema.app.features import SEALED_COLUMNS
from cinema.storage.database.transactions import Pool
from cinema.storage.resealing import SealedColumn

pytestmark = pytest.mark.postgres

NOT_SEALED = {
    "booking_keys.request_key",
    "bookings.request_key",
    "cluster_views.members",
    "cluster_views.proposed_by",
    "concession_orders.kept_by",
    "exchanges.fingerprint",
    "exchanges.request_key",
    "idempotent_requests.fingerprint",
    "idempotent_requests.response",
    "login_addresses.account",
    "login_addresses.address",
    "recommendation_model.content",
    "refunds.fingerprint",
    "series.fingerprint",
    "series.request_key",
    "refunds.request_key",
    "showtime_archive.key",
    "showtime_archive.payload",
    "showtime_journal.payload",
    "showtime_snapshots.payload",
    "ticket_scan_answers.fingerprint",
    "totp_factors.recovery",
}
"""Bytes that are digests under another name, or what the seat core and the cluster write."""

BYTES = """
select c.relname || '.' || a.attname as name
from pg_attribute a join pg_class c on c.oid = a.attrelid
    join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition and a.attnum > 0
    and not a.attisdropped and a.atttypid in ('bytea'::regtype, 'bytea[]'::regtype)
"""

KEYS = """
select c.relname || '.' || a.attname as name
from pg_index i join pg_class c on c.oid = i.indrelid
    join pg_attribute a on a.attrelid = c.oid and a.attnum = any(i.indkey)
where i.indisprimary and i.indnatts = 1 and a.atttypid = 'uuid'::regtype
"""


def names() -> set[str]:
    return {f"{one.table}.{one.column}" for one in SEALED_COLUMNS}


async def test_each_column_of_bytes_is_in_the_list_of_sealed_ones_or_known_to_be_none(
    pool: Pool,
) -> None:
    """A new column of bytes fails this: list it in `SEALED_COLUMNS`, or above if it is plain.

    One with `digest` in its name is one.
    """
    columns = {row["name"] for row in await pool.fetch(BYTES)}
    assert {one for one in columns - names() if "digest" not in one} == NOT_SEALED
    assert names() <= columns
    assert not names() & NOT_SEALED


async def test_each_row_with_sealed_bytes_is_found_by_its_key(pool: Pool) -> None:
    keys = {row["name"] for row in await pool.fetch(KEYS)}
    assert {f"{one.table}.{one.key}" for one in SEALED_COLUMNS} <= keys


def test_what_features_declare_is_in_the_list() -> None:
    declared = set()
    for module in pkgutil.walk_packages(cinema.features.__path__, "cinema.features."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, SealedColumn):
                declared.add(f"{value.table}.{value.column}")
    assert declared == names()


def test_what_is_moved_to_another_column_or_row_does_not_open_there() -> None:
    keys = [UUID(int=1), UUID(int=2)]
    places = {one.place(key) for one in SEALED_COLUMNS for key in keys}
    assert len(places) == len(SEALED_COLUMNS) * len(keys)
    for one in SEALED_COLUMNS:
        assert one.place(keys[0]).startswith(f"{one.table}.{one.column}:".encode())
