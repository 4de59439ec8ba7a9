"""What stores use of the driver; nobody else in the product sees it."""

from __future__ import annotations

from asyncpg import InvalidParameterValueError, Record
from asyncpg.pgproto.pgproto import UUID

__all__ = ["UUID", "InvalidParameterValueError", "Record"]
