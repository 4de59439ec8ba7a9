import base64
import json
from collections.abc import Mapping
from typing import Any

import jwt
import pytest

from cinema.domain.ids import format_id, new_id
from cinema.domain.principal import InvalidToken, Principal
from cinema.features.accounts.signing_keys import SigningKeys
from cinema.features.accounts.tokens import TokenIssuer, TokenVerifier

KEY = b"k" * 32
NEW_KEY = b"n" * 32
USER = new_id(1_000, 1)
SESSION = new_id(2_000, 1)
TTL_S = 900


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(clock: Clock) -> TokenIssuer:
    return TokenIssuer(SigningKeys([KEY]), ttl_s=TTL_S, clock=clock)


@pytest.fixture
def verifier(clock: Clock) -> TokenVerifier:
    return TokenVerifier(SigningKeys([KEY]), clock=clock)


def issue(issuer: TokenIssuer, user: bytes = USER, session: bytes = SESSION) -> str:
    return issuer.issue(user_id=user, role="customer", session_id=session).text


def claims(clock: Clock, **changes: Any) -> dict[str, Any]:
    base = {
        "sub": format_id(USER),
        "role": "customer",
        "sid": format_id(SESSION),
        "iat": clock.now_s,
        "exp": clock.now_s + TTL_S,
        "iss": "cinema",
    }
    return {name: value for name, value in (base | changes).items() if value is not None}


def signed(payload: Mapping[str, Any], key: bytes = KEY, algorithm: str = "HS256") -> str:
    return jwt.encode(dict(payload), key, algorithm=algorithm)


def refusal(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(InvalidToken) as caught:
        verifier.verify(token)
    return caught.value.code


def test_issued_token_names_its_principal(
    issuer: TokenIssuer, verifier: TokenVerifier, clock: Clock
) -> None:
    assert verifier.verify(issue(issuer)) == Principal(
        USER, "customer", SESSION, clock.now_s + TTL_S
    )


@pytest.mark.parametrize(
    ("role", "is_known"), [("guest", True), ("admin", True), ("Guest", False), ("", False)]
)
def test_tokens_have_roles_that_there_are(
    verifier: TokenVerifier, clock: Clock, role: str, is_known: bool
) -> None:
    token = signed(claims(clock, role=role))
    if is_known:
        assert verifier.verify(token).role == role
    else:
        assert refusal(verifier, token) == "INVALID_TOKEN"


def test_token_is_refused_from_its_expiry_on(
    issuer: TokenIssuer, verifier: TokenVerifier, clock: Clock
) -> None:
    token = issue(issuer)
    clock.now_s += TTL_S - 0.001
    verifier.verify(token)
    clock.now_s += 0.001
    assert refusal(verifier, token) == "TOKEN_EXPIRED"


def test_token_signed_with_another_key_is_refused(verifier: TokenVerifier, clock: Clock) -> None:
    assert refusal(verifier, signed(claims(clock), NEW_KEY)) == "INVALID_TOKEN"


def test_unsigned_token_is_refused(verifier: TokenVerifier, clock: Clock) -> None:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    for algorithm in ("none", "None", "NONE"):
        token = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims(clock))}."
        assert refusal(verifier, token) == "INVALID_TOKEN"


def test_other_algorithm_under_the_same_key_is_refused(
    verifier: TokenVerifier, clock: Clock
) -> None:
    key = b"k" * 64
    verifier = TokenVerifier(SigningKeys([key]), clock=clock)
    assert refusal(verifier, signed(claims(clock), key, "HS512")) == "INVALID_TOKEN"


@pytest.mark.parametrize("claim", ["sub", "role", "sid", "iat", "exp", "iss"])
def test_token_without_a_claim_is_refused(
    verifier: TokenVerifier, clock: Clock, claim: str
) -> None:
    assert refusal(verifier, signed(claims(clock, **{claim: None}))) == "INVALID_TOKEN"


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("iss", "elsewhere"),
        ("role", "owner"),
        ("sub", "not-an-id"),
        ("sid", "1"),
        ("exp", "soon"),
        ("iat", True),
        ("sub", 7),
    ],
)
def test_token_with_a_wrong_claim_is_refused(
    verifier: TokenVerifier, clock: Clock, claim: str, value: object
) -> None:
    assert refusal(verifier, signed(claims(clock, **{claim: value}))) == "INVALID_TOKEN"


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b.c", "é.é.é", "\ud800", "e30.e30.e30", "x" * 5000, "\x00"]
)
def test_garbage_is_refused(verifier: TokenVerifier, token: str) -> None:
    assert refusal(verifier, token) == "INVALID_TOKEN"


def test_changed_payload_is_refused(issuer: TokenIssuer, verifier: TokenVerifier) -> None:
    head, payload, signature = issue(issuer).split(".")
    forged = base64.urlsafe_b64encode(
        base64.urlsafe_b64decode(payload + "==").replace(b"customer", b"admin")
    )
    token = f"{head}.{forged.decode().rstrip('=')}.{signature}"
    assert refusal(verifier, token) == "INVALID_TOKEN"


def test_after_a_rotation_old_and_new_tokens_are_good(issuer: TokenIssuer, clock: Clock) -> None:
    rotated = TokenIssuer(SigningKeys([NEW_KEY, KEY]), ttl_s=TTL_S, clock=clock)
    verifier = TokenVerifier(SigningKeys([NEW_KEY, KEY]), clock=clock)
    assert verifier.verify(issue(issuer)).user_id == USER
    assert verifier.verify(issue(rotated)).user_id == USER
    jwt.decode(
        issue(rotated), NEW_KEY, ["HS256"], options={"verify_exp": False, "verify_iat": False}
    )


def test_short_keys_are_refused_at_construction() -> None:
    for keys in ([], [b"short"], [KEY, b"short"]):
        with pytest.raises(ValueError, match="32 bytes"):
            SigningKeys(keys)


def test_a_token_names_the_key_that_signed_it(issuer: TokenIssuer, clock: Clock) -> None:
    key_id = jwt.get_unverified_header(issue(issuer))["kid"]
    assert key_id == SigningKeys([KEY]).newest.key_id
    assert KEY.hex() not in key_id
    # The right signature under another key's name is none.
    named = jwt.encode(claims(clock), KEY, headers={"kid": SigningKeys([NEW_KEY]).newest.key_id})
    assert refusal(TokenVerifier(SigningKeys([NEW_KEY, KEY]), clock=clock), named) == (
        "INVALID_TOKEN"
    )


def test_keys_change_while_the_server_runs(clock: Clock) -> None:
    keys = SigningKeys([KEY])
    issuer, verifier = TokenIssuer(keys, ttl_s=TTL_S, clock=clock), TokenVerifier(keys, clock=clock)
    old = issue(issuer)
    keys.replace([NEW_KEY, KEY])
    new = issue(issuer)
    assert verifier.generation == 1
    assert {verifier.verify(one).user_id for one in (old, new)} == {USER}
    keys.replace([NEW_KEY])
    assert refusal(verifier, old) == "INVALID_TOKEN"
    assert verifier.verify(new).user_id == USER
    with pytest.raises(ValueError, match="32 bytes"):
        keys.replace([b"short"])
    assert verifier.verify(new).user_id == USER
