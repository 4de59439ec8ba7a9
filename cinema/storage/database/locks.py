"""Advisory locks of the database that several features know."""

from __future__ import annotations

from typing import Final

ISSUING_LOCK: Final = 1_215_767_001
"""Whoever issues invoices has it alone; whoever changes what they say shares it with its like."""
