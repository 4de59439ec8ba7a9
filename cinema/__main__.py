"""The `cinema` command: serve, migrate, seed, backup, restore, admin and others."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from types import FrameType
from typing import TYPE_CHECKING, Any

import msgspec

from cinema.cli.admin.arguments import add_admin
from cinema.cli.backup_options import add_backup_options, add_restore_options
from cinema.settings import (
    Field,
    Secret,
    Settings,
    SettingsError,
    fields,
    load_settings,
    reachable,
    with_control_token,
    with_jwt_secret,
)

if TYPE_CHECKING:
    from cinema.local.embedded_postgres import EmbeddedPostgres

# Heavy rooms are imported by the commands that enter them, so that each starts quickly.

Command = Callable[[Settings, Mapping[str, Any]], int | None]
"""What a command does, with the settings and the options that are its own; maybe an exit code."""

_FAILED = 1
_MISCONFIGURED = 2
_DECLARED_DEAD = 70

_HEALTHCHECK_TIMEOUT_S = 2.0
_LONGEST_HEALTH_BYTES = 4096


class NotReady(Exception):
    """The server answered, and it is not ready."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    2 for wrong settings, 70 for a node that its cluster took for dead and that is to be started
    again, 1 for other failures.
    """
    arguments = vars(_parser().parse_args(argv))
    run: Command = arguments.pop("run")
    settings = {field.attribute for field in fields()}
    flags = {name: arguments.pop(name) for name in settings & arguments.keys()}
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return run(load_settings(os.environ, given), arguments) or 0
    except SettingsError as error:
        _complain(*error.problems)
        return _MISCONFIGURED
    except Exception as error:
        message = _plain_message(error)
        if message is None:
            raise
        _complain(message)
        return _exit_code(error)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _exit_code(error: Exception) -> int:
    from cinema.cluster.node import DeclaredDead

    return _DECLARED_DEAD if isinstance(error, DeclaredDead) else _FAILED


def _serve(settings: Settings, _options: Mapping[str, Any]) -> None:
    from cinema.local.cluster.ports import refuse_used_ports

    # Before a database is made or started, which takes much longer than this.
    refuse_used_ports(settings, os.environ)
    with _database(settings) as (connected, postgres):
        complete = with_control_token(with_jwt_secret(connected))
        if complete.nodes > 1:
            from cinema.local.cluster.command import serve_cluster

            serve_cluster(complete, postgres, _report)
        else:
            from cinema.app.serve import serve

            _run_loop(serve(complete, _report, postgres))


def _migrate(settings: Settings, _options: Mapping[str, Any]) -> None:
    from cinema.storage.database.migrate import migrate

    with _database(settings) as (connected, _):
        _run_loop(migrate(connected.database_url, report=_report))


def _seed(settings: Settings, _options: Mapping[str, Any]) -> None:
    if not settings.demo_data:
        raise SettingsError(["DEMO_DATA is off, and there is nothing else to seed"])
    with _database(settings) as (connected, _):
        _run_loop(_seeded(connected))


async def _seeded(settings: Settings) -> None:
    from cinema.demo.seed import seed
    from cinema.storage.database.migrate import migrate
    from cinema.storage.database.pool import open_pool

    await migrate(settings.database_url, report=_report)
    async with await open_pool(settings.database_url, size=settings.database_pool_size) as pool:
        await seed(pool, settings, datetime.now(UTC), report=_report)


def _check_config(settings: Settings, options: Mapping[str, Any]) -> None:
    from cinema.settings.example import example as example_text

    if options["example"]:
        print(example_text(), end="")
        return
    for field in fields():
        print(f"{field.variable}={_shown(field, getattr(settings, field.attribute))}")


def _backup(settings: Settings, options: Mapping[str, Any]) -> None:
    from cinema.cli.backup import run_backup

    run_backup(settings, options)


def _restore(settings: Settings, options: Mapping[str, Any]) -> None:
    from cinema.cli.backup import run_restore

    run_restore(settings, options)


def _healthcheck(settings: Settings, _options: Mapping[str, Any]) -> None:
    """Ask the server of these settings whether it is ready; for a container's health check."""
    from http.client import HTTPConnection, HTTPException

    host = reachable(settings.host)
    connection = HTTPConnection(host, settings.port, timeout=_HEALTHCHECK_TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        text = answer.read(_LONGEST_HEALTH_BYTES).decode(errors="replace")
    except HTTPException as error:
        raise NotReady(f"not ready: {error!r}") from error
    finally:
        connection.close()
    if answer.status != HTTPStatus.OK:
        raise NotReady(f"not ready: {answer.status} {text}")


def _admin(settings: Settings, options: Mapping[str, Any]) -> int:
    from cinema.cli.admin.run import run_admin

    return run_admin(settings, options)


def _create_admin(settings: Settings, options: Mapping[str, Any]) -> None:
    from cinema.cli.create_admin import run_create_admin

    run_create_admin(settings, options, _report)


def _shown(field: Field, value: object) -> str:
    if field.secret:
        return "(set)" if value else "(not set)"
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


@contextmanager
def _database(settings: Settings) -> Iterator[tuple[Settings, EmbeddedPostgres | None]]:
    """The settings with the address of a database that runs: the given one, or our own."""
    if settings.database_url:
        yield settings, None
        return
    try:
        from cinema.local.embedded_postgres import EmbeddedPostgres
    except ImportError as error:
        raise SettingsError(
            ["DATABASE_URL is not set, and the embedded Postgres (cinema[embedded]) not installed"]
        ) from error
    if not (settings.data_dir / "postgres").exists():
        _report(f"making a database in {settings.data_dir} (some seconds, only once)")
    # Until the loop takes the signals over, a stop has to unwind through the `finally` below.
    signal.signal(signal.SIGTERM, _interrupt)
    from cinema.local.cluster.plan import connections_needed

    postgres = EmbeddedPostgres(settings.data_dir, connections=connections_needed(settings))
    try:
        address = postgres.start()
        yield msgspec.structs.replace(settings, database_url=Secret(address)), postgres
    finally:
        # A second signal would leave Postgres behind; the stop is bounded in time.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        postgres.stop()


def _interrupt(signum: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signum)


def _run_loop(work: Coroutine[Any, Any, object]) -> None:
    import uvloop

    uvloop.run(work)


def _plain_message(error: Exception) -> str | None:
    """One line for what people can put right themselves; None for a bug."""
    from cinema.backups.errors import BackupError
    from cinema.cli.create_admin import AdminNotCreated
    from cinema.cluster.membership import AddressTaken
    from cinema.cluster.node import DeclaredDead, SecretWrong
    from cinema.local.data_dir import DataDirInUse
    from cinema.local.postgres_home import EmbeddedPostgresError
    from cinema.local.redis_server import LocalRedisError
    from cinema.storage.database.durability import UnsafeDatabase, UnusableDatabase
    from cinema.storage.database.migrate import MigrationError

    plain = (
        AddressTaken,
        AdminNotCreated,
        BackupError,
        DataDirInUse,
        DeclaredDead,
        EmbeddedPostgresError,
        LocalRedisError,
        MigrationError,
        NotReady,
        SecretWrong,
        UnsafeDatabase,
        UnusableDatabase,
    )
    if isinstance(error, plain):
        return str(error)
    return _message_of_system(error) if isinstance(error, OSError) else None


def _message_of_system(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        told = error.strerror or error
        return f"{told}; another server runs there, choose a port with --port or --control-port"
    if isinstance(error, socket.gaierror):
        return f"no such host: {error.strerror}"
    return str(error)


def _report(step: str) -> None:
    """Tell a person who waits what is being done: one line a step, only where there is work."""
    print(f"cinema: {step} ...", file=sys.stderr, flush=True)


def _complain(*lines: str) -> None:
    for line in lines:
        print(f"cinema: {line}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cinema", description="A seat reservation server for cinemas."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="command")
    settings = _settings_parser()
    for name, run, text in (
        ("serve", _serve, "serve the API; starts a Postgres unless DATABASE_URL names one"),
        ("migrate", _migrate, "bring the database to this version's schema"),
        ("seed", _seed, "add the demo data, or top up its showtimes"),
        ("backup", _backup, "copy the database: once, or continuously; list and verify copies"),
        ("restore", _restore, "bring the database back as it was at some moment"),
        ("check-config", _check_config, "check the settings and print them, secrets left out"),
        ("healthcheck", _healthcheck, "ask the server of these settings whether it is ready"),
    ):
        command = commands.add_parser(name, help=text, description=text, parents=[settings])
        command.set_defaults(run=run)
        if run is _check_config:
            command.add_argument("--example", action="store_true", help="print .env.example")
        elif run is _backup:
            add_backup_options(command)
        elif run is _restore:
            add_restore_options(command)
    add_admin(commands, _admin, _create_admin)
    return parser


def _settings_parser() -> argparse.ArgumentParser:
    from cinema.settings.example import default_text, explain

    parser = argparse.ArgumentParser(add_help=False, argument_default=None)
    group = parser.add_argument_group(
        "settings", "each also an environment variable: --log-level is LOG_LEVEL; see .env.example"
    )
    for field in fields():
        if field.secret:
            continue
        flag = "--" + field.attribute.replace("_", "-")
        text = explain(field).replace("%", "%%")
        text += f"; default {default}" if (default := default_text(field)) else ""
        if field.kind is bool:
            group.add_argument(
                flag, dest=field.attribute, action="store_const", const="true", help=text
            )
            no = flag.replace("--", "--no-", 1)
            group.add_argument(no, dest=field.attribute, action="store_const", const="false")
        else:
            group.add_argument(flag, metavar=field.about.unit.upper() or "VALUE", help=text)
    return parser


if __name__ == "__main__":
    sys.exit(main())
