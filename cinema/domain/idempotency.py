"""Names of a client's request under its idempotency key: the same key and body mean the same."""

from __future__ import annotations

from hashlib import blake2b

import msgspec

KEY_DIGEST_BYTES = 16
FINGERPRINT_BYTES = 8

# Stands for the principal of requests that need none, such as registration.
ANONYMOUS = bytes(16)


class IdempotencyKey(msgspec.Struct, frozen=True, kw_only=True):
    """One client request: `digest` says which, `fingerprint` what it asked."""

    digest: bytes
    fingerprint: bytes


def idempotency_key(principal_id: bytes, route: str, key: str, body: bytes) -> IdempotencyKey:
    """The key of a request; `route` is the method and the path as requested."""
    return IdempotencyKey(
        digest=key_digest(principal_id, route, key), fingerprint=request_fingerprint(body)
    )


def key_digest(principal_id: bytes, route: str, key: str) -> bytes:
    """16 bytes naming `key` within one principal and route.

    Parts are prefixed with their lengths, so that no two triples read as the same bytes.
    """
    route_raw = route.encode()
    key_raw = key.encode()
    digest = blake2b(digest_size=KEY_DIGEST_BYTES)
    digest.update(len(principal_id).to_bytes(4, "big") + principal_id)
    digest.update(len(route_raw).to_bytes(4, "big") + route_raw)
    digest.update(key_raw)
    return digest.digest()


def request_fingerprint(body: bytes) -> bytes:
    """8 bytes that differ when the body differs; never of a body that holds a password."""
    return blake2b(body, digest_size=FINGERPRINT_BYTES).digest()
