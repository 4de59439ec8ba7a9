"""Whether the log of a Postgres of one's own would tell of people."""

from __future__ import annotations

from urllib.parse import urlsplit

import asyncpg
import pytest
from structlog.testing import capture_logs

from cinema.storage.database.server_log import (
    DATABASE_LOG_TELLS,
    look_at_server_log,
    warn_of_server_log,
)

pytestmark = pytest.mark.postgres


async def set_default(dsn: str, **values: str) -> None:
    """What new sessions of the database get."""
    name = urlsplit(dsn).path.removeprefix("/")
    connection = await asyncpg.connect(dsn)
    try:
        for setting, value in values.items():
            await connection.execute(f"alter database {name} set {setting} = '{value}'")
    finally:
        await connection.close()


QUIET = {
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
USUAL = {
    "log_error_verbosity": "default",
    "log_parameter_max_length": "-1",
    "log_parameter_max_length_on_error": "0",
}
SLOW = {"log_min_duration_statement": "1s"}
ON_ERROR = {"log_parameter_max_length_on_error": "-1"}


@pytest.mark.parametrize(
    ("settings", "telling"),
    [
        (QUIET, []),
        (QUIET | SLOW, []),
        (USUAL, ["log_error_verbosity"]),
        (USUAL | SLOW, ["log_error_verbosity", "log_parameter_max_length"]),
        (QUIET | {"log_parameter_max_length": "-1"} | SLOW, ["log_parameter_max_length"]),
        (QUIET | ON_ERROR, ["log_parameter_max_length_on_error"]),
    ],
)
async def test_settings_that_bring_values_into_the_log_are_named(
    database: str, settings: dict[str, str], telling: list[str]
) -> None:
    await set_default(database, **settings)
    assert await look_at_server_log(database) == telling
    with capture_logs() as logs:
        await warn_of_server_log(database)
    warning = {"event": DATABASE_LOG_TELLS, "settings": telling, "log_level": "warning"}
    assert logs == ([warning] if telling else [])


async def test_what_cannot_be_asked_is_left_alone(database: str) -> None:
    with capture_logs() as logs:
        await warn_of_server_log(f"{database}_that_nobody_has_made")
    assert logs == []
