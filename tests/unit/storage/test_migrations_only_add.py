"""Migrations have one number each, and leave the version before them working or say otherwise."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pytest

from cinema.storage.database.migrate import MIGRATIONS
from cinema.storage.database.schema_support import contract_of, oldest_supported

FILES = {path.name[:4]: path for path in sorted(MIGRATIONS.glob("*.sql"))}

_CREATES = re.compile(r"create (?:unlogged )?table (?:if not exists )?(\w+)")
_HARMLESS = re.compile(
    r"create (?:or replace )?(?:unlogged )?(?:table|index|view|sequence|type|function)\b"
    r"|comment on |insert into |update |alter type \w+ add value "
)
_ON_TABLE = re.compile(
    r"(?:alter table (?:only )?|create unique index \w+ on |truncate (?:table )?|delete from "
    r"|create trigger \w+ (?:before|after) [a-z ]+ on |revoke [a-z, ]+ on )(\w+)"
)
_HARMLESS_ACTION = re.compile(
    r"alter (?:column )?\w+ set (?:default|storage|statistics)\b|set \(|validate constraint "
)
_ADDS_COLUMN = re.compile(
    r"add (?:column )?(?:if not exists )?(?!constraint|check|unique|primary|foreign|exclude)\w"
)


def statements(sql: str) -> Iterator[str]:
    """Each statement in lower case, without comments and bodies of functions, on one line."""
    plain_sql = re.sub(r"\$\$.*?\$\$", "", re.sub(r"--.*", "", sql), flags=re.DOTALL)
    for statement in plain_sql.split(";"):
        plain = " ".join(statement.lower().split())
        if plain:
            yield plain


def actions(rest: str) -> Iterator[str]:
    """The parts of an ALTER TABLE, split at the commas outside of parentheses."""
    depth, part = 0, ""
    for character in rest:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            yield part.strip()
            part = ""
        else:
            part += character
    yield part.strip()


def only_adds(action: str) -> bool:
    """Whether the version before neither misses anything nor is refused anything."""
    if _ADDS_COLUMN.match(action):
        constrained = re.search(r"\b(?:not null|unique|primary key|references|check)\b", action)
        return not constrained or (
            constrained[0] == "not null" and bool(re.search(r"\bdefault\b|\bgenerated\b", action))
        )
    return bool(_HARMLESS_ACTION.match(action))


def contractions(sql: str) -> list[str]:
    """What in a migration the version before may trip over."""
    found: list[str] = []
    own: set[str] = set()
    for statement in statements(sql):
        if created := _CREATES.match(statement):
            own.add(created[1])
            continue
        table = _ON_TABLE.match(statement)
        if table and table[1] in own:
            continue
        if statement.startswith("alter table") and table:
            rest = statement[table.end() :].strip()
            found += [action for action in actions(rest) if not only_adds(action)]
        elif not _HARMLESS.match(statement):
            found.append(statement)
    return found


def test_no_number_is_given_twice_or_left_out() -> None:
    numbers = Counter(int(path.name[:4]) for path in MIGRATIONS.glob("*.sql"))
    assert numbers == Counter(range(1, len(FILES) + 1))


@pytest.mark.parametrize("revision", FILES)
def test_a_migration_only_adds_unless_it_is_marked(revision: str) -> None:
    sql = FILES[revision].read_text()
    if contract_of(sql) is None:
        assert contractions(sql) == []
    else:
        assert contractions(sql), "nothing is removed: take the mark away"


@pytest.mark.parametrize("revision", FILES)
def test_a_mark_names_an_earlier_revision_that_has_done_without(revision: str) -> None:
    named = contract_of(FILES[revision].read_text())
    assert named is None or (named in FILES and named < revision)


def test_the_oldest_build_supported_is_that_of_the_last_contraction() -> None:
    assert oldest_supported(FILES) in FILES


@pytest.mark.parametrize(
    "sql",
    [
        "alter table bookings drop column code",
        "alter table bookings rename column code to reference",
        "alter table bookings rename to reservations",
        "alter table bookings add column channel text not null",
        "alter table bookings add column channel text unique default 'web'",
        "alter table bookings add column note text, alter column code type varchar(8)",
        "alter table bookings alter column request_key set not null",
        "alter table bookings alter column code drop not null",
        "alter table bookings alter column status drop default",
        "alter table bookings add constraint short check (length(code) < 9)",
        "alter table bookings add unique (hold_id)",
        "create unique index bookings_of_hold on bookings (hold_id)",
        "drop table payments",
        "drop index bookings_of_user",
        "truncate booking_keys",
        "delete from booking_keys",
        "create trigger watch after insert on bookings execute function f()",
        (
            "create function f() returns trigger as $$ begin; end $$; create trigger watch before"
            " update or delete on bookings for each row execute function f()"
        ),
        "revoke delete on bookings from public",
        "-- create table bookings (x int);\nalter table bookings drop column code",
    ],
)
def test_contractions_are_noticed(sql: str) -> None:
    assert contractions(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "create table vouchers (id uuid primary key, code text not null unique)",
        "create table vouchers (id uuid); alter table vouchers add constraint k primary key (id)",
        "create table vouchers (id uuid); create unique index v on vouchers (id)",
        (
            "create table notes (id uuid); create function f() returns trigger as $$ begin; end $$;"
            " create trigger t before update or delete on notes for each row execute function f();"
            " revoke update, delete on notes from public"
        ),
        "alter table bookings add column channel text",
        "alter table bookings add column if not exists channel text not null default 'web'",
        'alter table bookings add channel text collate "C", add column price numeric(10, 2)',
        "alter table bookings alter column payload set storage plain",
        "alter table bookings set (fillfactor = 70)",
        "create index bookings_by_code on bookings (code)",
        "update bookings set channel = 'web' where channel is null",
        "-- alter table bookings drop column code\ncreate table notes (id uuid)",
    ],
)
def test_additions_are_fine(sql: str) -> None:
    assert contractions(sql) == []
