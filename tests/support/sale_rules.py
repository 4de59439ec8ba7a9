"""Rules of sale for tests that are about something else."""

from __future__ import annotations

from cinema.domain.sale_rules import SaleRules

DEFAULTS = SaleRules(
    seats_per_hold=10,
    live_holds_per_customer=4,
    seats_per_staff_hold=50,
    live_holds_per_staff=40,
    hold_ttl_s=600,
    hold_max_s=1800,
)
