"""Finds settings with which Postgres would write values of ours into its log.

Only whoever runs the server can change these: its details of a violation quote the row, with the
e-mail address in it, and its lines about slow statements their parameters.
"""

from __future__ import annotations

from typing import Final

import asyncpg
import structlog

from cinema.storage.database.durability import CONNECT_TIMEOUT_S
from cinema.storage.database.failures import UNREACHABLE

DATABASE_LOG_TELLS: Final = "database_log_tells"

# Parameters are written only where statements are.
_TELLING: Final = """
select array_remove(array[
    case when current_setting('log_error_verbosity') <> 'terse' then 'log_error_verbosity' end,
    case when current_setting('log_parameter_max_length_on_error') <> '0'
        then 'log_parameter_max_length_on_error' end,
    case when current_setting('log_parameter_max_length') <> '0' and (
        current_setting('log_statement') in ('mod', 'all')
        or current_setting('log_min_duration_statement') <> '-1'
        or current_setting('log_min_duration_sample') <> '-1'
        or current_setting('log_transaction_sample_rate') <> '0'
    ) then 'log_parameter_max_length' end
], null)
"""

log = structlog.get_logger(__name__)


async def look_at_server_log(dsn: str) -> list[str]:
    """The settings with which the server's log tells values, as a fresh connection sees them."""
    connection = await asyncpg.connect(
        dsn, timeout=CONNECT_TIMEOUT_S, command_timeout=CONNECT_TIMEOUT_S
    )
    try:
        return list(await connection.fetchval(_TELLING))
    finally:
        connection.terminate()


async def warn_of_server_log(dsn: str) -> None:
    """Log a warning that names such settings; what cannot be asked is left alone."""
    try:
        telling = await look_at_server_log(dsn)
    except (*UNREACHABLE, asyncpg.PostgresError):
        return
    if telling:
        log.warning(DATABASE_LOG_TELLS, settings=telling)
