"""`cinema admin create-admin`: the first admin of a database, and any other one.

It works on the database alone, so that it can be used before the first start. Anybody who may write
to the database could make an admin anyway.
"""

from __future__ import annotations

import asyncio
import getpass
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from cinema.domain.progress import Report
from cinema.domain.rejections import Refused
from cinema.features.accounts.password_policy import check_password
from cinema.features.accounts.passwords import OURSELVES, PasswordHasher
from cinema.features.accounts.shapes import (
    AdminUser,
    Client,
    RegisterInput,
    email_key,
    tidy_email,
)
from cinema.features.accounts.store import AccountsRepository, NewUser
from cinema.features.accounts.user_store import Act, UsersRepository
from cinema.features.ids import IdSource
from cinema.local.embedded_postgres import EmbeddedPostgres, running_address
from cinema.settings import Settings
from cinema.storage.database.migrate import migrate
from cinema.storage.database.pool import open_pool
from cinema.storage.database.transactions import Pool


class AdminNotCreated(Exception):
    """There is no new admin; the message says why, or what to do."""


def run_create_admin(settings: Settings, options: Mapping[str, Any], report: Report) -> None:
    """Make the account, or with `--promote` give an existing one the role."""
    request = None
    if not options["promote"]:
        request = _request(options, _password(options["password_file"]))
    # Standard output is for the result alone; logs of migrations must not go there.
    with redirect_stdout(sys.stderr), _database(settings) as dsn:
        user = asyncio.run(_create(dsn, options["email"], request, settings.bcrypt_cost, report))
    if options["json"]:
        sys.stdout.write(msgspec.json.encode({"data": user}).decode() + "\n")
    else:
        sys.stdout.write(f"cinema: {user.email} is an admin now ({user.id})\n")


def _request(options: Mapping[str, Any], password: str) -> RegisterInput:
    """The account of the options, by the same rules as a registration over HTTP."""
    given = {
        "email": options["email"],
        "password": password,
        "first_name": options["first_name"],
        "last_name": options["last_name"],
    }
    try:
        request = msgspec.convert(given, RegisterInput)
        check_password(request.password, request.email)
    except msgspec.ValidationError as error:
        raise AdminNotCreated(str(error)) from error
    except Refused as refused:
        raise AdminNotCreated(refused.rejection.message or refused.rejection.code) from refused
    return request


def _password(file: str | None) -> str:
    """The password: from a file, from standard input (`-`), or typed twice at a terminal."""
    if file == "-":
        return sys.stdin.readline().rstrip("\r\n")
    if file is not None:
        return Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    if not sys.stdin.isatty():
        raise AdminNotCreated("there is no terminal to ask at: give --password-file FILE, or -")
    typed = getpass.getpass("Password of the new admin: ")
    if getpass.getpass("The same again: ") != typed:
        raise AdminNotCreated("the two passwords differ")
    return typed


@contextmanager
def _database(settings: Settings) -> Iterator[str]:
    """The address of the database: given, of a running server, or of one started for this."""
    running = settings.database_url or running_address(settings.data_dir)
    if running:
        yield running
        return
    postgres = EmbeddedPostgres(settings.data_dir)
    try:
        yield postgres.start()
    finally:
        postgres.stop()


async def _create(
    dsn: str, email: str, request: RegisterInput | None, bcrypt_cost: int, report: Report
) -> AdminUser:
    unique = email_key(email)
    if unique is None:
        raise AdminNotCreated(f"{email!r} is not an e-mail address")
    await migrate(dsn, report=report)
    async with await open_pool(dsn, size=2) as pool:
        accounts = AccountsRepository(pool)
        user_id = await _id_of(accounts, unique)
        if request is None:
            if user_id is None:
                raise AdminNotCreated(f"there is no account of {email}; leave --promote out")
        elif user_id is not None:
            raise AdminNotCreated(f"{email} has an account already; --promote makes it an admin")
        else:
            user_id = await _add(pool, unique, request, bcrypt_cost)
        try:
            user = await UsersRepository(pool).make_admin(UUID(user_id), _act())
        except Refused as refused:
            told = refused.rejection.message or refused.rejection.code
            if refused.rejection.code == "EMAIL_NOT_VERIFIED":
                told = f"{told} Use the link in the mail to {email} first."
            raise AdminNotCreated(told) from refused
    if user is None:
        raise AdminNotCreated(f"the account of {email} is gone")
    return user


def _act() -> Act:
    now = datetime.now(UTC)
    entry_id = UUID(bytes=IdSource(lambda: int(now.timestamp() * 1_000_000)).next_id())
    return Act(by=None, at=now, client=Client(agent="cinema admin"), entry_id=entry_id)


async def _id_of(accounts: AccountsRepository, unique: str) -> str | None:
    known = await accounts.credentials_by_email(unique)
    return None if known is None else known.user.id


async def _add(pool: Pool, unique: str, request: RegisterInput, bcrypt_cost: int) -> str:
    """A new account; it gets its role later, so that a crash in between leaves a customer.

    The operator vouches for the address, as the link in a mail does elsewhere.
    """
    now = datetime.now(UTC)
    hasher = PasswordHasher(bcrypt_cost)
    try:
        password_hash = await hasher.hash(request.password, OURSELVES)
    finally:
        hasher.close()
    new = NewUser(
        id=UUID(bytes=IdSource(lambda: int(now.timestamp() * 1_000_000)).next_id()),
        email=tidy_email(request.email),
        email_key=unique,
        password_hash=password_hash,
        first_name=request.first_name.strip(),
        last_name=request.last_name.strip(),
        created_at=now,
        email_verified=True,
    )
    try:
        return (await AccountsRepository(pool).add_user(new, None)).id
    except Refused as refused:
        told = refused.rejection.message or refused.rejection.code
        raise AdminNotCreated(told) from refused
