"""Programs of the machine that some tests run: nginx, haproxy, promtool."""

from __future__ import annotations

import os
import shutil

import pytest

REQUIRED = "REQUIRE_PROGRAMS"
"""Set where all programs have to be there, as in continuous integration."""


def program(name: str, *, package: str) -> str:
    """The path of a program; without it the test is skipped, or fails where it is required."""
    search = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    path = shutil.which(name, path=search)
    if path is not None:
        return path
    reason = f"{name} is not installed (on Debian: apt install {package})"
    if os.environ.get(REQUIRED):
        pytest.fail(reason)
    pytest.skip(reason)
