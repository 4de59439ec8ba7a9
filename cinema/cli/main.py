"""The `cinema` command: serve, migrate, seed, backup, restore, admin and others."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from typing import Any, Final

from cinema.cli.arguments import Subcommand, parser_of
from cinema.cli.report import complain, report
from cinema.settings import Settings, SettingsError, fields, load_settings

# Large packages are imported only by the commands that need them, so that each starts quickly.

MISCONFIGURED: Final = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    2 for wrong settings, 70 for a node that its cluster has declared dead and that has to be
    started again, 1 for other failures.
    """
    arguments = vars(parser_of(COMMANDS).parse_args(argv))
    run: Subcommand = arguments.pop("run")
    settings = {field.attribute for field in fields()}
    flags = {name: arguments.pop(name) for name in settings & arguments.keys()}
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return run(load_settings(os.environ, given), arguments) or 0
    except SettingsError as error:
        complain(*error.problems)
        return MISCONFIGURED
    except Exception as error:
        from cinema.cli.failures import exit_code, plain_message

        message = plain_message(error)
        if message is None:
            raise
        complain(message)
        return exit_code(error)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _serve(settings: Settings, _options: Mapping[str, Any]) -> None:
    from cinema.cli.serve import run_serve

    run_serve(settings)


def _migrate(settings: Settings, _options: Mapping[str, Any]) -> None:
    from cinema.cli.schema import run_migrate

    run_migrate(settings)


def _seed(settings: Settings, _options: Mapping[str, Any]) -> None:
    from cinema.cli.schema import run_seed

    run_seed(settings)


def _reseal(settings: Settings, _options: Mapping[str, Any]) -> None:
    from cinema.cli.reseal import run_reseal

    run_reseal(settings)


def _check_invoices(settings: Settings, _options: Mapping[str, Any]) -> int:
    from cinema.cli.check_invoices import run_check_invoices

    return run_check_invoices(settings)


def _rebuild_reports(settings: Settings, _options: Mapping[str, Any]) -> None:
    from cinema.cli.rebuild_reports import run_rebuild_reports

    run_rebuild_reports(settings)


def _check_config(settings: Settings, options: Mapping[str, Any]) -> None:
    from cinema.cli.check_config import print_example, print_settings

    if options["example"]:
        print_example()
    else:
        print_settings(settings)


def _openapi(_settings: Settings, _options: Mapping[str, Any]) -> None:
    from cinema.cli.openapi import print_document

    print_document()


def _healthcheck(settings: Settings, _options: Mapping[str, Any]) -> None:
    from cinema.cli.healthcheck import check_health

    check_health(settings)


def _backup(settings: Settings, options: Mapping[str, Any]) -> None:
    from cinema.cli.backup import run_backup

    run_backup(settings, options)


def _restore(settings: Settings, options: Mapping[str, Any]) -> None:
    from cinema.cli.backup import run_restore

    run_restore(settings, options)


def _admin(settings: Settings, options: Mapping[str, Any]) -> int:
    from cinema.cli.admin.run import run_admin

    return run_admin(settings, options)


def _create_admin(settings: Settings, options: Mapping[str, Any]) -> None:
    from cinema.cli.create_admin import run_create_admin

    run_create_admin(settings, options, report)


COMMANDS: Final[dict[str, Subcommand]] = {
    "serve": _serve,
    "migrate": _migrate,
    "seed": _seed,
    "reseal": _reseal,
    "backup": _backup,
    "restore": _restore,
    "check-invoices": _check_invoices,
    "rebuild-reports": _rebuild_reports,
    "openapi": _openapi,
    "check-config": _check_config,
    "healthcheck": _healthcheck,
    "admin": _admin,
    "create-admin": _create_admin,
}
