"""`cinema admin create-admin`: the way to the first admin, also of an empty production database."""

from __future__ import annotations

import asyncio
import getpass
import io
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import pytest

from cinema.cli.main import main
from cinema.domain.rejections import Refused, refuse
from cinema.features.accounts.passwords import PasswordHasher
from cinema.features.accounts.user_store import UsersRepository
from cinema.local.embedded_postgres import running_address

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

EMAIL = "Boss@chain.example"
PASSWORD = "eleven green bicycles"
PRODUCTION = {
    "ENVIRONMENT": "production",
    "JWT_SECRET_KEY": "qNn0eW0mYx3hVd5uT7rKp2sLz8aJf4gC6bXi9oEvH1w=",
    "ENCRYPTION_KEYS": "3q2+7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs=",
    "TICKET_SIGNING_KEYS": "GxobGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEA774=",
    "PUBLIC_URL": "https://tickets.chain.example",
    "TRUSTED_PROXIES": "10.0.0.0/8",
}


class Told(NamedTuple):
    """The exit code and what was printed."""

    code: int
    out: str
    err: str


Create = Callable[..., Told]


@pytest.fixture
def create(
    empty_database: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Create:
    """Runs the command on a database without tables."""
    environment: Mapping[str, str] = {
        "DATABASE_URL": empty_database,
        "DATA_DIR": str(tmp_path / "data"),
        "BCRYPT_COST": "10",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def run(
        email: str, *flags: str, password: str = PASSWORD, typed_at: io.StringIO | None = None
    ) -> Told:
        monkeypatch.setattr(sys, "stdin", typed_at or io.StringIO(f"{password}\n"))
        code = main(["admin", "create-admin", email, *flags])
        return Told(code, *capsys.readouterr())

    return run


async def the_only_user(dsn: str) -> Mapping[str, Any]:
    connection = await asyncpg.connect(dsn)
    try:
        (row,) = await connection.fetch("select * from users")
        return dict(row)
    finally:
        await connection.close()


async def test_an_empty_database_in_production_gets_its_first_admin(
    create: Create, empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in PRODUCTION.items():
        monkeypatch.setenv(name, value)
    told = await asyncio.to_thread(create, EMAIL, "--password-file", "-", "--first-name", "Bo")
    assert told.code == 0
    assert "Boss@chain.example is an admin now" in told.out
    user = await the_only_user(empty_database)
    assert (user["email"], user["role"], user["first_name"]) == (EMAIL, "admin", "Bo")
    assert user["email_verified"]
    hasher = PasswordHasher(10)
    try:
        assert await hasher.matches(PASSWORD, user["password_hash"], "")
    finally:
        hasher.close()


async def test_account_whose_address_nobody_has_verified_is_not_promoted(
    create: Create, empty_database: str
) -> None:
    """A stranger may have registered with the address of who is going to be the admin."""
    await asyncio.to_thread(create, EMAIL, "--password-file", "-")
    connection = await asyncpg.connect(empty_database)
    await connection.execute("update users set role = 'customer', email_verified = false")
    await connection.close()
    refused = await asyncio.to_thread(create, EMAIL, "--promote")
    assert refused.code == 1
    assert "verified" in refused.err
    assert (await the_only_user(empty_database))["role"] == "customer"


async def test_an_account_that_is_there_keeps_its_password_and_is_promoted_on_demand(
    create: Create, empty_database: str
) -> None:
    await asyncio.to_thread(create, EMAIL, "--password-file", "-")
    connection = await asyncpg.connect(empty_database)
    await connection.execute("update users set role = 'customer'")
    await connection.close()
    before = await the_only_user(empty_database)
    again = await asyncio.to_thread(
        create, "boss@CHAIN.example", "--password-file", "-", password="another phrase of mine"
    )
    assert again.code == 1
    assert "--promote" in again.err
    assert await the_only_user(empty_database) == before
    promoted = await asyncio.to_thread(create, "boss@chain.example", "--promote", "--json")
    assert promoted.code == 0
    assert json.loads(promoted.out)["data"]["role"] == "admin"
    after = await the_only_user(empty_database)
    assert after["role"] == "admin"
    assert after["password_hash"] == before["password_hash"]


@pytest.mark.parametrize(
    ("email", "flags", "password", "told"),
    [
        ("boss", ("--password-file", "-"), PASSWORD, "is not an e-mail address"),
        (EMAIL, ("--password-file", "-"), "short", "$.password"),
        (EMAIL, ("--password-file", "-"), "Password123", "commonest"),
        (EMAIL, ("--password-file", "-"), EMAIL.lower(), "is not your e-mail address"),
        (EMAIL, (), PASSWORD, "--password-file"),
        (EMAIL, ("--promote",), PASSWORD, "there is no account"),
        (EMAIL, ("--password-file", "/nowhere/at/all"), PASSWORD, "No such file"),
    ],
)
async def test_what_cannot_be_done_changes_nothing_and_says_why(
    create: Create, email: str, flags: tuple[str, ...], password: str, told: str
) -> None:
    failed = await asyncio.to_thread(lambda: create(email, *flags, password=password))
    assert failed.code == 1
    assert told in failed.err
    assert failed.out == ""


async def test_an_address_that_somebody_may_still_have_back_is_not_taken(
    create: Create, empty_database: str
) -> None:
    """Whoever has changed the address of an account can undo that for a week."""
    await asyncio.to_thread(create, "other@chain.example", "--password-file", "-")
    connection = await asyncpg.connect(empty_database)
    await connection.execute(
        "insert into account_links"
        " (digest, purpose, user_id, email, email_key, created_at, expires_at)"
        " select sha256('a link'), 'email_undo', id, $1, lower($1), now(), now() + '7 days'"
        " from users",
        EMAIL,
    )
    await connection.close()
    refused = await asyncio.to_thread(create, EMAIL, "--password-file", "-")
    assert (refused.code, refused.out) == (1, "")
    assert (await the_only_user(empty_database))["email"] == "other@chain.example"


def test_without_a_database_the_embedded_one_is_started_and_stopped(
    create: Create, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("DATABASE_URL")
    assert create(EMAIL, "--password-file", "-").code == 0
    assert running_address(tmp_path / "data") is None
    again = create(EMAIL, "--password-file", "-")
    assert again.code == 1
    assert "has an account already" in again.err


def test_a_terminal_is_asked_twice(create: Create, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([PASSWORD, "something else", PASSWORD, PASSWORD])
    monkeypatch.setattr(getpass, "getpass", lambda _: next(answers))
    differing = create(EMAIL, typed_at=Terminal())
    assert (differing.code, differing.out) == (1, "")
    assert "differ" in differing.err
    assert create(EMAIL, typed_at=Terminal()).code == 0


class Terminal(io.StringIO):
    """Standard input of a person."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("outcome", "told"),
    [(None, "is gone"), (refuse("RETRY", "The database is away."), "The database is away.")],
    ids=["erased meanwhile", "the database is away"],
)
def test_what_happens_between_account_and_role_is_told(
    create: Create,
    monkeypatch: pytest.MonkeyPatch,
    outcome: Refused | None,
    told: str,
) -> None:
    async def make_admin(*_: object) -> None:
        if outcome is not None:
            raise outcome

    with monkeypatch.context() as moment:
        moment.setattr(UsersRepository, "make_admin", make_admin)
        failed = create(EMAIL, "--password-file", "-")
    assert (failed.code, failed.out) == (1, "")
    assert told in failed.err
    assert create(EMAIL, "--promote").code == 0
