"""Messages of a command to a person while it works."""

from __future__ import annotations

import sys


def report(step: str) -> None:
    """Tell a waiting person what is being done: one line for each step that has work to do."""
    sys.stderr.write(f"cinema: {step} ...\n")
    sys.stderr.flush()


def complain(*lines: str) -> None:
    """Tell what has failed."""
    for line in lines:
        sys.stderr.write(f"cinema: {line}\n")
