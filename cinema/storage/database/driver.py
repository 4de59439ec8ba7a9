"""The parts of the driver that stores use; no other code of the product sees it."""

from __future__ import annotations

from asyncpg import InvalidParameterValueError, Record
from asyncpg.pgproto.pgproto import UUID

__all__ = ["UUID", "InvalidParameterValueError", "Record"]
