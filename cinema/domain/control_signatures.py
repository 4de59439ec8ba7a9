"""How calls of the control endpoint and their answers are signed with a token that is not sent.

A client signs each call; the server signs its answer with the token that it found. So a program
that listens at an old address learns nothing that it could use, and its answers are not accepted.
Both sides import this module, so it belongs to neither of them.
"""

from __future__ import annotations

import hmac
import re
from hashlib import sha256
from typing import Final, NamedTuple

SCHEME: Final = "Cinema-HMAC"
PROOF_HEADER: Final = "Cinema-Proof"

NONCE_BYTES: Final = 16
_REQUEST: Final = "cinema control request 1"
_ANSWER: Final = "cinema control answer 1"
_CREDENTIALS: Final = re.compile(
    rf"{SCHEME} ([0-9]{{1,12}})\.([0-9a-f]{{32}})\.([0-9a-f]{{64}})\.([0-9a-f]{{64}})"
)


class Signed(NamedTuple):
    """The content of a signature: its time (Unix), its nonce, and the digest of the body."""

    created_s: int
    nonce: str
    body_digest: str
    mac: str


class Called(NamedTuple):
    """The parts of a call that a signature covers in addition to its body."""

    method: str
    target: str
    idempotency_key: str
    operator: str


def credentials_for(token: str, called: Called, body: bytes, now_s: float, nonce: str) -> str:
    """The credentials for a call made now; a `nonce` of `NONCE_BYTES` in hex counts once."""
    unsigned = Signed(int(now_s), nonce, digest(body), "")
    mac = request_mac(token, called, unsigned)
    parts = (str(unsigned.created_s), unsigned.nonce, unsigned.body_digest, mac)
    return f"{SCHEME} {'.'.join(parts)}"


def parsed(credentials: str) -> Signed | None:
    """The signature in credentials; None if they do not have the form."""
    found = _CREDENTIALS.fullmatch(credentials)
    return None if found is None else Signed(int(found[1]), found[2], found[3], found[4])


def digest(body: bytes) -> str:
    """The digest of a body in a signature."""
    return sha256(body).hexdigest()


def request_mac(token: str, called: Called, signed: Signed) -> str:
    """The code for a call, which only a holder of the token can make."""
    lines = (_REQUEST, str(signed.created_s), signed.nonce, signed.body_digest, *called)
    return _mac(token, lines)


def answer_mac(token: str, nonce: str, status: int, body: bytes) -> str:
    """The same for the answer to the call with that nonce."""
    return _mac(token, (_ANSWER, nonce, str(status), digest(body)))


def same(one: str, other: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(one.encode(errors="replace"), other.encode(errors="replace"))


def _mac(token: str, lines: tuple[str, ...]) -> str:
    text = "\n".join(lines).encode(errors="surrogatepass")
    return hmac.new(token.encode(errors="surrogatepass"), text, sha256).hexdigest()
