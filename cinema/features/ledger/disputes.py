"""Whether a customer's bank is deciding about the money of a booking."""

from __future__ import annotations

from typing import Final

DISPUTED: Final = "charge_disputed"
"""Why a refund waits whose money a bank decides about."""

IS_DISPUTED: Final = """exists (
    select from payments of_it join disputes d on d.payment_id = coalesce(of_it.origin_id, of_it.id)
    where of_it.booking_id = {} and d.is_open
)"""
"""Of a booking, for SQL; also if another one, which was exchanged for it, was paid so."""
