"""Postgres's own programs, in the version of their server."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import msgspec

from cinema.backups.errors import BackupError
from cinema.local.postgres_home import clean_environment, installations
from cinema.local.tether import tethered

_PROBE: Final = "pg_basebackup"
_PLACES: Final = ("/usr/lib/postgresql/{}/bin", "/usr/pgsql-{}/bin", "/usr/local/pgsql/bin")
_VERSION: Final = re.compile(r"\(PostgreSQL\) (\d+)")
_VERSION_TIMEOUT_S: Final = 10.0
_STOP_TIMEOUT_S: Final = 10.0
_ERRORS_SHOWN: Final = 2000
# Where clients look for their password file and certificates.
_CLIENT_VARIABLES: Final = ("HOME", "PGPASSFILE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY")


class Programs(msgspec.Struct, frozen=True, kw_only=True):
    """The folder of the programs of one major version."""

    folder: Path
    major: int

    def path(self, name: str) -> Path:
        """One program; refuses when this installation lacks it."""
        program = self.folder / name
        if not program.exists():
            raise BackupError(f"{self.folder} has no {name}; install all of Postgres {self.major}")
        return program


class Source(msgspec.Struct, frozen=True):
    """A server to back up, by its address with the password in it."""

    dsn: str

    def __repr__(self) -> str:
        return "Source('…')"

    @property
    def user(self) -> str:
        """The user of the address."""
        return unquote(urlsplit(self.dsn).username or "")

    @property
    def database(self) -> str:
        """The database of the address."""
        return unquote(urlsplit(self.dsn).path.lstrip("/"))

    def for_programs(self) -> tuple[str, dict[str, str]]:
        """The address without its password, which others could see, and the environment with it."""
        parts = urlsplit(self.dsn)
        login, at, hosts = parts.netloc.rpartition("@")
        user, _, password = login.partition(":")
        query = dict(parse_qsl(parts.query))
        password = query.pop("password", "") or unquote(password)
        address = parts._replace(netloc=f"{user}{at}{hosts}", query=urlencode(query))
        known = {name: os.environ[name] for name in _CLIENT_VARIABLES if name in os.environ}
        environment = {**clean_environment(), **known}
        if password:
            environment["PGPASSWORD"] = password
        return urlunsplit(address), environment


def find_programs(major: int) -> Programs:
    """The programs of a major version: the embedded ones, the system's, or those on the PATH."""
    for folder in _candidates(major):
        if _major_of(folder / _PROBE) == major:
            return Programs(folder=folder, major=major)
    raise BackupError(
        f"the programs of Postgres {major} (pg_basebackup, pg_receivewal and others) are not "
        f"here; install postgresql-{major} or put their folder on the PATH"
    )


def _candidates(major: int) -> Iterator[Path]:
    for folder in installations():
        if folder.parent.name.endswith(str(major)):
            yield folder
    for place in _PLACES:
        yield Path(place.format(major))
    on_path = shutil.which(_PROBE)
    if on_path is not None:
        yield Path(on_path).resolve().parent
        yield Path(on_path).parent


def _major_of(program: Path) -> int | None:
    if not program.exists():
        return None
    shown = subprocess.run(
        [program, "--version"], capture_output=True, text=True, check=False,
        env=clean_environment(), timeout=_VERSION_TIMEOUT_S,
    )  # fmt: skip
    match = _VERSION.search(shown.stdout)
    return None if match is None else int(match[1])


class Running:
    """A program that was started; it ends with this process, and its errors are kept."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self._name = name
        self._process = process

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    async def ended(self) -> str:
        """Wait for its end; why it failed, or nothing. Cancelled, it is stopped."""
        try:
            _, errors = await self._process.communicate()
        except BaseException:
            await self.stop()
            raise
        if self._process.returncode == 0:
            return ""
        text = errors.decode(errors="replace").strip()[-_ERRORS_SHOWN:]
        return f"{self._name} failed ({self._process.returncode}): {text}"

    async def stop(self) -> None:
        """Let it and its children finish, and kill them if they do not."""
        for how in (signal.SIGINT, signal.SIGKILL):
            if not self.running:
                return
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, how)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), _STOP_TIMEOUT_S)


async def start(
    programs: Programs, name: str, arguments: Sequence[str], environment: Mapping[str, str]
) -> Running:
    """Start a program, tied to this process."""
    command = tethered([str(programs.path(name)), *arguments])
    process = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env=dict(environment), cwd="/", start_new_session=True,
    )  # fmt: skip
    return Running(name, process)


async def run(
    programs: Programs, name: str, arguments: Sequence[str], environment: Mapping[str, str]
) -> None:
    """Run a program to its end; raises `BackupError` with what it says."""
    failure = await (await start(programs, name, arguments, environment)).ended()
    if failure:
        raise BackupError(failure)
