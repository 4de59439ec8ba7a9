"""Bugs put into the kernel for a moment."""

from __future__ import annotations

from typing import Any

import pytest


def break_down_once(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    """The next call fails; those after it do not."""
    real = getattr(owner, name)

    def fail(*_arguments: Any, **_options: Any) -> None:
        monkeypatch.setattr(owner, name, real)
        raise RuntimeError("a bug")

    monkeypatch.setattr(owner, name, fail)
