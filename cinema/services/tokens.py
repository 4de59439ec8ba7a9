"""Access tokens: HS256 JWTs, issued at login and verified once, then remembered until expiry."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import jwt
import msgspec

from cinema.domain.accounts import ROLES
from cinema.domain.ids import format_id, parse_id
from cinema.domain.limits_catalog import SIGNING_KEY_BYTES, TOKEN_CHARS, VERIFIED_TOKENS_KEPT

ISSUER: Final = "cinema"
ALGORITHM: Final = "HS256"

INVALID_TOKEN: Final = "INVALID_TOKEN"  # noqa: S105  (a code, not a secret)
TOKEN_EXPIRED: Final = "TOKEN_EXPIRED"  # noqa: S105
TOKEN_REVOKED: Final = "TOKEN_REVOKED"  # noqa: S105

Clock = Callable[[], float]


class Principal(msgspec.Struct, frozen=True):
    """Who asks, as a verified token says; `expires_at_s` is Unix time."""

    user_id: bytes
    role: str
    session_id: bytes
    expires_at_s: float


class InvalidToken(Exception):
    """The token proves nothing; `code` says why in the client's terms."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


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
    """Signs with the first of `keys`; the others are for verifiers during a rotation."""

    def __init__(self, keys: Sequence[bytes], *, ttl_s: int, clock: Clock) -> None:
        self._key = _checked(keys)[0]
        self.ttl_s = ttl_s
        self._clock = clock

    def issue(
        self, *, user_id: bytes, role: str, session_id: bytes, at_s: float | None = None
    ) -> AccessToken:
        """A token for one session, issued at `at_s` (now).

        `at_s` lies before the moment the role was read: then a change of role either was read
        or revokes this token. It has milliseconds, so that a token issued right after a
        revocation is told from those before it.
        """
        issued_at_s = math.floor((self._clock() if at_s is None else at_s) * 1000) / 1000
        claims = {
            "sub": format_id(user_id),
            "role": role,
            "sid": format_id(session_id),
            "iat": issued_at_s,
            "exp": math.floor(issued_at_s) + self.ttl_s,
            "iss": ISSUER,
        }
        return AccessToken(jwt.encode(claims, self._key, algorithm=ALGORITHM), self.ttl_s)


class TokenVerifier:
    """Verifies tokens under any of `keys`, and remembers the verified ones.

    A revocation takes effect with the call. It is kept as long as a token issued before it can
    live (`ttl_s`), in this process; `AccountsService.learn_revocations` brings those of others.
    """

    def __init__(
        self,
        keys: Sequence[bytes],
        *,
        ttl_s: int,
        clock: Clock,
        cache_limit: int = VERIFIED_TOKENS_KEPT,
    ) -> None:
        self._keys = _checked(keys)
        self._ttl_s = ttl_s
        self._clock = clock
        self._cache_limit = cache_limit
        self._verified: dict[str, Principal] = {}
        self._revoked_sessions: dict[bytes, float] = {}
        self._revoked_users: dict[bytes, float] = {}

    def verify(self, token: str) -> Principal:
        """Whom the token stands for; raises `InvalidToken`. A known token costs one lookup."""
        principal = self._verified.get(token)
        if principal is None:
            return self._verify_unknown(token)
        if self._clock() < principal.expires_at_s:
            return principal
        del self._verified[token]
        raise InvalidToken(TOKEN_EXPIRED)

    def revoke_session(self, session_id: bytes) -> None:
        """Refuse every token of this session from now on."""
        self._forget_old_revocations()
        self._revoked_sessions[session_id] = self._clock()
        self._drop(lambda principal: principal.session_id == session_id)

    def revoke_user(self, user_id: bytes, before_s: float | None = None) -> None:
        """Refuse every token of this user issued until `before_s` (now); later ones are good."""
        self._forget_old_revocations()
        self._revoked_users[user_id] = self._clock() if before_s is None else before_s
        self._drop(lambda principal: principal.user_id == user_id)

    def has_revoked(self, session_id: bytes) -> bool:
        """Whether the tokens of this session are refused already."""
        return session_id in self._revoked_sessions

    def __len__(self) -> int:
        return len(self._verified)

    def _verify_unknown(self, token: str) -> Principal:
        claims = self._claims(token)
        user_id, session_id = parse_id(claims.sub), parse_id(claims.sid)
        if user_id is None or session_id is None or claims.role not in ROLES:
            raise InvalidToken(INVALID_TOKEN)
        if not self._clock() < claims.exp:
            raise InvalidToken(TOKEN_EXPIRED)
        if session_id in self._revoked_sessions:
            raise InvalidToken(TOKEN_REVOKED)
        if claims.iat <= self._revoked_users.get(user_id, -math.inf):
            raise InvalidToken(TOKEN_REVOKED)
        principal = Principal(user_id, claims.role, session_id, claims.exp)
        self._remember(token, principal)
        return principal

    def _claims(self, token: str) -> _Claims:
        if len(token) > TOKEN_CHARS:
            raise InvalidToken(INVALID_TOKEN)
        for key in self._keys:
            try:
                # Times are compared with the injected clock, not with the library's.
                payload = jwt.decode(
                    token,
                    key,
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

    def _remember(self, token: str, principal: Principal) -> None:
        if len(self._verified) >= self._cache_limit:
            self._make_room()
        self._verified[token] = principal

    def _make_room(self) -> None:
        """Drop the expired, and if that is little, the quarter that came first.

        A quarter at a time keeps the cost of one new token constant on average.
        """
        now_s = self._clock()
        self._drop(lambda principal: principal.expires_at_s <= now_s)
        excess = len(self._verified) - self._cache_limit * 3 // 4
        for token in list(self._verified)[: max(excess, 0)]:
            del self._verified[token]

    def _drop(self, doomed: Callable[[Principal], bool]) -> None:
        for token in [token for token, one in self._verified.items() if doomed(one)]:
            del self._verified[token]

    def _forget_old_revocations(self) -> None:
        horizon_s = self._clock() - self._ttl_s
        for revoked in (self._revoked_sessions, self._revoked_users):
            for one in [one for one, at_s in revoked.items() if at_s < horizon_s]:
                del revoked[one]


def _checked(keys: Sequence[bytes]) -> tuple[bytes, ...]:
    if not keys or any(len(key) < SIGNING_KEY_BYTES for key in keys):
        raise ValueError(f"a signing key has at least {SIGNING_KEY_BYTES} bytes")
    return tuple(keys)
