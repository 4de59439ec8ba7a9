"""Translates errors of Postgres and its driver into refusals, by constraint and SQLSTATE."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg

from cinema.domain.rejections import refuse

_CONSTRAINTS: Final = {
    # The same key again while it is in flight: its answer is there in a moment.
    "refunds_request_key": ("RETRY", ""),
    "ticket_scan_answers_nonce": ("RETRY", ""),
    # The same customer enters twice at once: one of them is inside in a moment.
    "waiting_places_of_customer": ("RETRY", ""),
    "users_email_taken": ("EMAIL_TAKEN", ""),
    "screens_name_taken": ("NAME_TAKEN", "This cinema has a screen of that name."),
    "showtimes_screen_occupied": ("SCREEN_OCCUPIED", ""),
    "showtimes_movie": ("UNKNOWN_REFERENCE", "There is no such movie."),
    "showtimes_screen": ("UNKNOWN_REFERENCE", "There is no such screen."),
    "cinema_managers_cinema_id_fkey": ("UNKNOWN_REFERENCE", "There is no such cinema."),
}

_NO_EFFECT: Final = (
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.TooManyConnectionsError,
    asyncpg.CannotConnectNowError,
)

# A cancelled statement is among them: a cancelled wait for a standby has committed.
_LOST: Final = (
    asyncpg.QueryCanceledError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InvalidTransactionStateError,
    asyncpg.InterfaceError,
    # The driver has read the server's farewell, but not yet the end of the connection.
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)

UNREACHABLE: Final = (*_NO_EFFECT, *_LOST)
"""Errors of a read when Postgres is away, starting, or out of connections."""


@contextmanager
def translated(*, lost: str = "RETRY") -> Iterator[None]:
    """Turn driver errors that clients may see into `Refused`; the others pass as they are.

    `lost` is the code for a lost connection or a timeout: RETRY where nothing can have been
    committed yet, OUTCOME_UNKNOWN around a commit.
    """
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError as error:
        known = _CONSTRAINTS.get(error.constraint_name or "")
        if known is None:
            raise
        raise refuse(*known) from error
    except (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError) as error:
        raise refuse("VALIDATION_ERROR", "Text may not contain the character U+0000.") from error
    except _NO_EFFECT as error:
        raise refuse("RETRY") from error
    except _LOST as error:
        raise refuse(lost) from error
