from cinema.domain.sale_rules import Rules, effective_rules
from tests.support.sale_rules import DEFAULTS


def test_without_rules_the_defaults_hold() -> None:
    assert effective_rules(DEFAULTS, Rules(), Rules()) == DEFAULTS


def test_showtime_overrides_screen_and_screen_overrides_defaults() -> None:
    screen = Rules(seats_per_hold=6, hold_ttl_s=300, protect_orphans=False)
    showtime = Rules(seats_per_hold=2, protect_orphans=True)
    rules = effective_rules(DEFAULTS, screen, showtime)
    assert (rules.seats_per_hold, rules.hold_ttl_s, rules.hold_max_s) == (2, 300, 1800)
    assert rules.protect_orphans


def test_false_is_a_value_and_not_an_omission() -> None:
    assert not effective_rules(DEFAULTS, Rules(protect_orphans=False)).protect_orphans
