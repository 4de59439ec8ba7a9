"""The command line: all commands, and a flag for each setting that is not a secret."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from cinema.cli.admin.arguments import add_admin
from cinema.cli.backup_options import add_backup_options, add_restore_options
from cinema.settings import Settings, fields
from cinema.settings.example import default_text, explain

Subcommand = Callable[[Settings, Mapping[str, Any]], int | None]
"""A command: it gets the settings and its own options, and may return an exit code."""

_HELP = {
    "serve": "serve the API; starts a Postgres unless DATABASE_URL names one",
    "migrate": "bring the database to this version's schema",
    "seed": "add the demo data, or top up its showtimes",
    "reseal": "encrypt stored values again with the newest of ENCRYPTION_KEYS",
    "backup": "copy the database: once, or continuously; list and verify copies",
    "restore": "restore the database as it was at some time",
    "check-invoices": "look for gaps in the numbers of invoices, and make missing ones",
    "rebuild-reports": "count the figures of all showtimes anew, from bookings and the ledger",
    "openapi": "print the OpenAPI document, without a server or a database",
    "check-config": "check the settings and print them without secrets",
    "healthcheck": "ask the server of these settings whether it is ready",
}


def parser_of(commands: Mapping[str, Subcommand]) -> argparse.ArgumentParser:
    """The parser; its result has the command as `run`."""
    parser = argparse.ArgumentParser(
        prog="cinema", description="A seat reservation server for cinemas."
    )
    found = parser.add_subparsers(title="commands", required=True, metavar="command")
    settings = _settings_parser()
    for name, text in _HELP.items():
        command = found.add_parser(name, help=text, description=text, parents=[settings])
        command.set_defaults(run=commands[name])
        if name == "check-config":
            command.add_argument("--example", action="store_true", help="print .env.example")
        elif name == "backup":
            add_backup_options(command)
        elif name == "restore":
            add_restore_options(command)
    add_admin(found, commands["admin"], commands["create-admin"])
    return parser


def _settings_parser() -> argparse.ArgumentParser:
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
            group.add_argument(flag, metavar=field.unit.upper() or "VALUE", help=text)
    return parser
