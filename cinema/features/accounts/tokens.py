"""Access tokens: HS256 JWTs, issued at login; `admission` knows whether they are still valid."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import jwt
import msgspec

from cinema.domain.ids import format_id, parse_id
from cinema.domain.limits_catalog import TOKEN_CHARS
from cinema.domain.principal import (
    ACCOUNTS,
    GUEST,
    INVALID_TOKEN,
    TOKEN_EXPIRED,
    InvalidToken,
    Principal,
)
from cinema.features.accounts.signing_keys import SigningKeys

ISSUER: Final = "cinema"
ALGORITHM: Final = "HS256"

TimeSource = Callable[[], float]

_BEARERS: Final = ACCOUNTS | {GUEST}


class AccessToken(msgspec.Struct, frozen=True):
    """A token and its lifetime in seconds."""

    text: str
    expires_in_s: int


class _Claims(msgspec.Struct, frozen=True):
    sub: str
    role: str
    sid: str
    iat: float
    exp: float


class TokenIssuer:
    """Signs with the newest of `keys`, and names it in the token."""

    def __init__(self, keys: SigningKeys, *, ttl_s: int, clock: TimeSource) -> None:
        self._keys = keys
        self.ttl_s = ttl_s
        self._clock = clock

    def issue(
        self,
        *,
        user_id: bytes,
        role: str,
        session_id: bytes,
        at_s: float | None = None,
        longest_s: int | None = None,
    ) -> AccessToken:
        """A token for one session, issued at `at_s` (now), for `longest_s` at most."""
        ttl_s = self.ttl_s if longest_s is None else min(self.ttl_s, longest_s)
        issued_at_s = math.floor((self._clock() if at_s is None else at_s) * 1000) / 1000
        claims = {
            "sub": format_id(user_id),
            "role": role,
            "sid": format_id(session_id),
            "iat": issued_at_s,
            "exp": math.floor(issued_at_s) + ttl_s,
            "iss": ISSUER,
        }
        key = self._keys.newest
        text = jwt.encode(claims, key.secret, algorithm=ALGORITHM, headers={"kid": key.key_id})
        return AccessToken(text, ttl_s)


class TokenVerifier:
    """Checks a token alone: its form, its time, and its signature with any of `keys`."""

    def __init__(self, keys: SigningKeys, *, clock: TimeSource) -> None:
        self._keys = keys
        self._clock = clock

    @property
    def generation(self) -> int:
        """Rises when the keys change; a token that was verified before may have lost its key."""
        return self._keys.generation

    def verify(self, token: str) -> Principal:
        """The principal to whom the token was issued; raises `InvalidToken`."""
        claims = self._claims(token)
        user_id, session_id = parse_id(claims.sub), parse_id(claims.sid)
        if user_id is None or session_id is None or claims.role not in _BEARERS:
            raise InvalidToken(INVALID_TOKEN)
        if not self._clock() < claims.exp:
            raise InvalidToken(TOKEN_EXPIRED)
        return Principal(user_id, claims.role, session_id, claims.exp)

    def _claims(self, token: str) -> _Claims:
        if len(token) > TOKEN_CHARS:
            raise InvalidToken(INVALID_TOKEN)
        for key in self._keys.candidates(_key_id_of(token)):
            try:
                # Times are compared with the injected clock, not with the library's.
                payload = jwt.decode(
                    token,
                    key.secret,
                    algorithms=[ALGORITHM],
                    issuer=ISSUER,
                    options={
                        "require": ["sub", "role", "sid", "iat", "exp", "iss"],
                        "verify_exp": False,
                        "verify_iat": False,
                        "verify_nbf": False,
                        "verify_aud": False,
                    },
                )
                return msgspec.convert(payload, _Claims)
            except jwt.InvalidSignatureError:
                continue
            except (jwt.InvalidTokenError, msgspec.ValidationError, UnicodeError):
                break
        raise InvalidToken(INVALID_TOKEN)


def _key_id_of(token: str) -> object:
    """The id of the key in a token; None if it has none, or is not a token."""
    try:
        return jwt.get_unverified_header(token).get("kid")
    except (jwt.InvalidTokenError, UnicodeError):
        return None
