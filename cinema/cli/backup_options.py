"""The options of `cinema backup` and `cinema restore`."""

from __future__ import annotations

import argparse


def add_backup_options(command: argparse.ArgumentParser) -> None:
    """The options of `cinema backup`."""
    command.add_argument("--to", metavar="FOLDER", help="folder of the backups, for BACKUP_DIR")
    command.add_argument("--json", action="store_true", help="print the outcome as JSON")
    what = command.add_mutually_exclusive_group()
    what.add_argument(
        "--follow",
        action="store_true",
        help="archive the log while it is written, and take base backups when due, until stopped",
    )
    what.add_argument("--list", action="store_true", help="what can be restored")
    what.add_argument(
        "--metrics", action="store_true", help="the same for Prometheus, to be put into a file"
    )
    what.add_argument("--verify", action="store_true", help="read everything and compare")
    what.add_argument(
        "--forget",
        action="store_true",
        help="stop the server from keeping log for this folder; the backups stay",
    )


def add_restore_options(command: argparse.ArgumentParser) -> None:
    """The options of `cinema restore`."""
    command.add_argument("--from", metavar="FOLDER", help="folder of the backups, for BACKUP_DIR")
    command.add_argument(
        "--to-time", metavar="MOMENT", help="RFC 3339, with its offset; else the end of the archive"
    )
    command.add_argument("--into", metavar="FOLDER", help="data folder for a Postgres of your own")
    command.add_argument("--move-old-to", metavar="FOLDER", help="where what is there now goes")
    command.add_argument("--backup", metavar="ID", help="the base backup to begin with")
    command.add_argument(
        "--timeline", metavar="NUMBER", type=int, help="the line of history to follow"
    )
    command.add_argument("--json", action="store_true", help="print the outcome as JSON")
