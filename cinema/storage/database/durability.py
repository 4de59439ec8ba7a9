"""Checks periodically whether Postgres keeps what it acknowledges.

Our own sessions say themselves that a commit waits for the disk (`Durability.commits`), so that no
default of a server, database or role changes it. What a session cannot choose (`fsync`,
`full_page_writes`), and what others would get, is asked on a fresh connection each time: that shows
every source, also what was set after our sessions began.
"""

from __future__ import annotations

import asyncio
from typing import Final

import asyncpg
import msgspec
import structlog

from cinema.storage.database.address import DatabaseAddress, address_of
from cinema.storage.database.failures import UNREACHABLE

DATABASE_UNSAFE: Final = "database_unsafe"
DATABASE_SECURED: Final = "database_secured"
DURABILITY_UNKNOWN: Final = "durability_unknown"

OLDEST_MAJOR_VERSION: Final = 17

DURABILITY_CHECK_S: Final = 30.0
"""Period of the check: one connection and one query, and an alert within a minute."""

CONNECT_TIMEOUT_S: Final = 10.0
"""Longer than connecting takes on a busy server."""

COMMITS: Final = "on"
"""What our sessions set: a commit waits for the disk, and for that of a synchronous standby."""

COMMITS_SEEN_ON_STANDBYS: Final = "remote_apply"
"""A stricter setting than ours, which is kept if the server has it."""

_DURABILITY: Final = """
select current_setting('server_version_num')::int / 10000 as major_version,
       current_setting('fsync') as fsync,
       current_setting('full_page_writes') as full_page_writes,
       current_setting('synchronous_commit') as synchronous_commit,
       current_setting('synchronous_standby_names') <> '' as has_standby
"""

_RISKS: Final = {
    "fsync": ("off",),
    "full_page_writes": ("off",),
    "synchronous_commit": ("off",),
}
_RISKS_IN_PRODUCTION: Final = {**_RISKS, "synchronous_commit": ("off", "local")}

log = structlog.get_logger(__name__)


class UnsafeDatabase(Exception):
    """This Postgres may lose what the server promises to keep."""


class UnusableDatabase(Exception):
    """Postgres does not answer, or refuses the connection."""


class Durability(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a new session: `risks`, and the `synchronous_commit` that ours replace.

    `has_standby`: commits wait for a synchronous standby.
    """

    risks: tuple[str, ...]
    commits: str
    has_standby: bool


async def look_at_durability(dsn: str, *, production: bool) -> Durability:
    """What this Postgres may lose in a crash, as a fresh connection sees it.

    Raises `UnsafeDatabase` for a version that is too old, and what connecting raises.
    """
    connection = await asyncpg.connect(
        dsn, timeout=CONNECT_TIMEOUT_S, command_timeout=CONNECT_TIMEOUT_S
    )
    try:
        row = await connection.fetchrow(_DURABILITY)
    finally:
        connection.terminate()
    assert row is not None, "a select without a from clause has one row"
    if row["major_version"] < OLDEST_MAJOR_VERSION:
        raise UnsafeDatabase(
            f"Postgres {row['major_version']} is too old: {OLDEST_MAJOR_VERSION} or newer is needed"
        )
    refused = _RISKS_IN_PRODUCTION if production else _RISKS
    risks = tuple(
        f"{name} is {row[name]}" for name, values in refused.items() if row[name] in values
    )
    seen_on_standbys = row["synchronous_commit"] == COMMITS_SEEN_ON_STANDBYS
    return Durability(
        risks=risks,
        commits=COMMITS_SEEN_ON_STANDBYS if seen_on_standbys else COMMITS,
        has_standby=row["has_standby"],
    )


async def require_durability(dsn: str, *, production: bool) -> Durability:
    """The look before a start.

    Raises `UnsafeDatabase` for any risk in production, and `UnusableDatabase`.
    """
    try:
        durability = await look_at_durability(dsn, production=production)
    except (OSError, asyncpg.PostgresError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "it does not answer"
        raise UnusableDatabase(f"Postgres cannot be used, see DATABASE_URL: {reason}") from error
    if durability.risks and production:
        raise UnsafeDatabase(
            f"Postgres may lose what it acknowledged ({', '.join(durability.risks)}); turn them on"
        )
    for risk in durability.risks:
        log.warning(DATABASE_UNSAFE, reason=risk)
    return durability


class DurabilityWatch:
    """Notices when the server's settings become unsafe, or safe again; logs each change once.

    `risks` and `has_standby` are what the last look found. `changes` counts looks that found a risk
    where there was none of that kind before; `failures` those that got no answer, which change
    nothing else.
    """

    def __init__(
        self,
        dsn: str | DatabaseAddress,
        *,
        production: bool,
        risks: tuple[str, ...] = (),
        has_standby: bool = False,
    ) -> None:
        self._address = address_of(dsn)
        self._production = production
        self.risks = risks
        self.has_standby = has_standby
        self.changes = 0
        self.failures = 0

    async def run(self) -> None:
        """Check periodically, as long as the node runs."""
        while True:
            await asyncio.sleep(DURABILITY_CHECK_S)
            await self.look()

    async def look(self) -> None:
        """Check once; if Postgres cannot be asked, nothing changes."""
        try:
            seen = await look_at_durability(self._address.dsn, production=self._production)
            self.has_standby, found = seen.has_standby, seen.risks
        except UnsafeDatabase as error:
            found = (str(error),)
        except (*UNREACHABLE, asyncpg.PostgresError) as error:
            self.failures += 1
            log.info(DURABILITY_UNKNOWN, reason=str(error) or type(error).__name__)
            return
        for risk in found:
            if risk not in self.risks:
                self.changes += 1
                log.error(DATABASE_UNSAFE, reason=risk)
        if self.risks and not found:
            log.info(DATABASE_SECURED)
        self.risks = found

    async def ready(self) -> str | None:
        """See `Check`: in production a node does not serve on a database that forgets."""
        return ", ".join(self.risks) if self.risks and self._production else None
