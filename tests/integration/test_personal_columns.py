"""Everything that is kept of somebody is named here, and goes when the account is erased."""

from __future__ import annotations

from typing import Final

import pytest

from cinema.storage.database.transactions import Pool

pytestmark = pytest.mark.postgres

ABOUT_SOMEBODY: Final = (
    "user_id",
    "owner_id",
    "account",
    "account_id",
    "guest_id",
    "actor_id",
    "target_id",
)
"""Names of columns by which a table refers to an account, with a foreign key or without."""

PERSONAL_WORDS: Final = ("email", "recipient", "first_name", "last_name", "phone", "address")
"""Parts of names of columns that say something of somebody, whatever the table refers to."""

ERASED: Final = {
    "users": {"email", "email_key", "first_name", "last_name", "password_hash"},
    "sessions": {"address", "agent", "refresh_digest"},
    "account_links": {"digest", "email", "email_key", "purpose", "role"},
    "link_requests": {"email", "email_key", "purpose"},
    "login_addresses": {"account", "address"},
    "login_challenges": {"digest"},
    "totp_factors": {"sealed", "next_sealed", "recovery"},
    "messages": {
        "recipient",
        "body",
        "dedupe_key",
        "kind",
        "language",
        "status",
        "last_error",
        "channel",
    },
    "account_exports": {"digest"},
    "guests": {"email", "email_key"},
    "guest_orders": {"digest", "language"},
    "booking_billing": {"name", "address", "tax_id"},
    "booking_notes": {"text"},
    "invoices": {"content"},
    "gift_card_orders": {"recipient_email", "recipient_name", "sender_name", "message"},
    "reviews": {"text", "status", "reason"},
    "review_reports": {"reason"},
    "messages_off": {"address_digest", "kind"},
    "message_phones": {"number", "kinds"},
    "recommendation_preferences": {"genres", "date_of_birth"},
    "recommendation_feedback": {"kind"},
    "recommendation_exposures": {"reason", "experiment", "arm"},
    "recommendation_events": {"kind"},
    "waiting_places": {"device_digest", "address_digest", "state", "ended_by"},
}
"""What erasure replaces, or deletes with its row (`features/accounts/erasure_store.py`)."""

SAYS_NOTHING: Final = {
    "users": {"role", "language"},
    # Ids and actions. Addresses of clients stay, since the log only grows; they are needed to
    # look into a theft, and nothing else tells whose they were.
    "audit_log": {"action", "before", "after", "request_id", "address"},
    "bookings": {
        *("code", "status", "currency", "request_key", "lines", "promo_code", "priced_by"),
    },
    "exchanges": {
        *("code", "state", "currency", "payment_method", "request_key", "fingerprint"),
    },
    "jobs": {
        *("kind", "only_one", "status", "input", "position", "result", "node", "reason"),
        *("last_error", "request_id"),
    },
    "cinemas": {"address", "legal_address"},
}
"""What stays, and says nothing of anybody once the account is erased."""

_TEXTS: Final = """
select columns.table_name, columns.column_name
from information_schema.columns columns
join information_schema.tables tables using (table_schema, table_name)
where columns.table_schema = 'public' and tables.table_type = 'BASE TABLE'
    and (data_type in ('text', 'character varying', 'jsonb', 'json', 'bytea') or (
        data_type = 'ARRAY' and udt_name in ('_text', '_bytea', '_varchar', '_jsonb')
    ))
"""
_ABOUT: Final = """
select distinct table_name from information_schema.columns
where table_schema = 'public' and column_name = any($1)
union
select distinct relation.relname from pg_constraint constr
join pg_class relation on relation.oid = constr.conrelid
where constr.contype = 'f' and constr.confrelid = 'users'::regclass
"""


async def test_what_is_kept_of_an_account_is_erased_or_says_nothing(pool: Pool) -> None:
    about = {row["table_name"] for row in await pool.fetch(_ABOUT, list(ABOUT_SOMEBODY))}
    about |= {"users"}
    texts: dict[str, set[str]] = {}
    for table, column in await pool.fetch(_TEXTS):
        if table in about or any(word in column for word in PERSONAL_WORDS):
            texts.setdefault(table, set()).add(column)
    named = {
        table: ERASED.get(table, set()) | SAYS_NOTHING.get(table, set())
        for table in ERASED.keys() | SAYS_NOTHING.keys()
    }
    unnamed = {table: columns - named.get(table, set()) for table, columns in texts.items()}
    assert {table: columns for table, columns in unnamed.items() if columns} == {}
    for table, columns in ERASED.items():
        assert not columns & SAYS_NOTHING.get(table, set()), table


async def test_every_column_that_is_named_exists(pool: Pool) -> None:
    texts = {(row["table_name"], row["column_name"]) for row in await pool.fetch(_TEXTS)}
    named = {
        (table, column)
        for lists in (ERASED, SAYS_NOTHING)
        for table, columns in lists.items()
        for column in columns
    }
    assert named - texts == set()
