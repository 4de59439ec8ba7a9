"""Epochs and their eras."""

from __future__ import annotations

from cinema.domain.epochs import EPOCHS_PER_ERA, LAST_ERA, same_era


def test_only_a_restore_ends_an_era() -> None:
    assert same_era(0, EPOCHS_PER_ERA - 1)
    assert not same_era(EPOCHS_PER_ERA - 1, EPOCHS_PER_ERA)
    assert same_era(5 * EPOCHS_PER_ERA, 5 * EPOCHS_PER_ERA + 17)


def test_every_epoch_of_every_era_fits_where_replies_are_stored() -> None:
    assert (LAST_ERA + 1) * EPOCHS_PER_ERA <= 1 << 32
