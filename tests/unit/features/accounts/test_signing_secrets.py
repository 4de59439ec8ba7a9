"""The text of JWT_SECRET_KEY, at the start and when its file has changed."""

from __future__ import annotations

import pytest

from cinema.features.accounts.build import signing_secrets

NEW, OLD = "n" * 32, "o" * 32


def test_keys_are_taken_newest_first() -> None:
    assert signing_secrets(f"{NEW}\n{OLD}") == [NEW.encode(), OLD.encode()]


def test_a_key_that_is_too_short_is_not_taken() -> None:
    with pytest.raises(ValueError, match="JWT_SECRET_KEY"):
        signing_secrets(f"{NEW}\nshort")
