"""The conditions of sale that hold for a showtime, gathered from where they may stand."""

from __future__ import annotations

import msgspec

from cinema.domain.catalog import Rules


class SaleRules(msgspec.Struct, frozen=True, kw_only=True):
    """Every condition of sale, with its value."""

    seats_per_hold: int
    live_holds_per_customer: int
    seats_per_staff_hold: int
    live_holds_per_staff: int
    hold_ttl_s: int
    hold_max_s: int
    protect_orphans: bool = True
    companions_need_accessible: bool = True


def effective_rules(defaults: SaleRules, *layers: Rules) -> SaleRules:
    """The defaults under the layers; of several layers that name a rule the last decides."""
    named: dict[str, int | bool] = {}
    for layer in layers:
        named |= {
            name: value
            for name, value in msgspec.structs.asdict(layer).items()
            if value is not None
        }
    return msgspec.structs.replace(defaults, **named)
