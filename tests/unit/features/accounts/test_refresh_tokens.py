from __future__ import annotations

import pytest

from cinema.domain.ids import new_id
from cinema.features.accounts.refresh_tokens import TOKEN_CHARS, Presented, RefreshTokens
from cinema.features.accounts.signing_keys import SigningKeys

KEY, NEW_KEY = b"k" * 32, b"n" * 32
SESSION = new_id(1_000, 1)
TOKENS = RefreshTokens(SigningKeys([KEY]))


def test_token_says_its_session_and_secret() -> None:
    secret = TOKENS.new_secret()
    token = TOKENS.token(SESSION, secret)
    assert len(token) == TOKEN_CHARS
    assert token.replace("-", "").replace("_", "").isalnum()
    assert len(secret) == 32
    assert TOKENS.read(token) == Presented(SESSION, secret)


@pytest.mark.parametrize("changed_at", [0, 30, TOKEN_CHARS - 2])
def test_changed_token_is_nobodys(changed_at: int) -> None:
    """Else anybody who knows a session's id could end it with a made-up secret."""
    token = TOKENS.token(SESSION, TOKENS.new_secret())
    other = "A" if token[changed_at] != "A" else "B"
    assert TOKENS.read(token[:changed_at] + other + token[changed_at + 1 :]) is None


@pytest.mark.parametrize(
    "text", ["", "A", "A" * TOKEN_CHARS, "é" * TOKEN_CHARS, "=" * TOKEN_CHARS, "A" * 4000, "\udcff"]
)
def test_what_is_no_token_is_nobodys(text: str) -> None:
    assert TOKENS.read(text) is None


def test_token_of_another_key_is_nobodys_unless_that_key_is_still_known() -> None:
    secret = TOKENS.new_secret()
    token = TOKENS.token(SESSION, secret)
    assert RefreshTokens(SigningKeys([NEW_KEY])).read(token) is None
    rotated = RefreshTokens(SigningKeys([NEW_KEY, KEY]))
    assert rotated.read(token) == Presented(SESSION, secret)
    assert rotated.read(rotated.token(SESSION, secret)) == Presented(SESSION, secret)
    assert TOKENS.read(rotated.token(SESSION, secret)) is None


def test_successors_take_the_key_and_not_only_the_secret() -> None:
    secret = TOKENS.new_secret()
    others = RefreshTokens(SigningKeys([NEW_KEY]))
    (mine,), (other,) = TOKENS.lines(secret, 2), others.lines(secret, 2)
    assert mine[0] != other[0]
    assert mine[1] == TOKENS.lines(mine[0], 0)[0][0]
    assert RefreshTokens(SigningKeys([NEW_KEY, KEY])).lines(secret, 2) == [other, mine]


def test_keys_that_change_while_the_server_runs_count_at_once() -> None:
    keys = SigningKeys([KEY])
    tokens = RefreshTokens(keys)
    old = tokens.token(SESSION, tokens.new_secret())
    keys.replace([NEW_KEY, KEY])
    new = tokens.token(SESSION, tokens.new_secret())
    keys.replace([NEW_KEY])
    assert tokens.read(old) is None
    assert tokens.read(new) is not None
