"""Epochs in eras: within an era each change of owner counts one up; a restore begins a new era.

A restored showtime uses seqs again that clients may have seen before, in another history. An epoch
of another era says nothing about this history.
"""

from __future__ import annotations

from typing import Final

EPOCHS_PER_ERA: Final = 1 << 20
"""More changes of owner than a showtime sees between two restores: each takes a lease or more."""

LAST_ERA: Final = (1 << 32) // EPOCHS_PER_ERA - 1
"""Stored replies keep an epoch in 32 bits."""


def same_era(epoch: int, other: int) -> bool:
    """Whether no restore lies between two epochs of a showtime."""
    return epoch // EPOCHS_PER_ERA == other // EPOCHS_PER_ERA
