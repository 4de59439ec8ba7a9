"""Names of a client's request under its idempotency key: what means the same has the same name.

Names are made of decoded input, so that spelling (JSON's order and escapes, the case of an id, a
trailing slash) does not count. They are stored for a day: a change in how they are made breaks the
repetitions of that day.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

import msgspec

KEY_DIGEST_BYTES = 16
FINGERPRINT_BYTES = 8

# Stands for the principal of requests that need none, such as registration.
ANONYMOUS = bytes(16)

_encode: Final = msgspec.msgpack.Encoder(order="deterministic").encode


class IdempotencyKey(msgspec.Struct, frozen=True, kw_only=True):
    """One client request: `digest` says which, `fingerprint` what it asked."""

    digest: bytes
    fingerprint: bytes


def idempotency_key(
    principal_id: bytes,
    operation: str,
    ids: tuple[bytes, ...],
    key: str,
    body: object = None,
    query: object = None,
) -> IdempotencyKey:
    """The key of a request for `operation` on what the path's `ids` name."""
    return IdempotencyKey(
        digest=key_digest(principal_id, operation, ids, key),
        fingerprint=request_fingerprint((meaning(body), meaning(query))),
    )


def key_digest(principal_id: bytes, operation: str, ids: tuple[bytes, ...], key: str) -> bytes:
    """16 bytes naming `key` within one principal, operation and ids."""
    # Encoded together, no two such groups read as the same bytes.
    scoped = _encode((operation, principal_id, ids, key))
    return blake2b(scoped, digest_size=KEY_DIGEST_BYTES).digest()


def request_fingerprint(asked: object) -> bytes:
    """8 bytes that differ when what is asked differs; never of anything with a password."""
    return blake2b(_encode(asked), digest_size=FINGERPRINT_BYTES).digest()


def meaning(value: Any) -> Any:
    """What decoded input asks for, as plain values; alike for all ways to write the same.

    A Struct may say it itself with a method `meaning`, where the order of a list or the case of a
    text does not count. Else it means its fields that differ from their defaults: a field that the
    next version adds changes nothing for those who do not send it.
    """
    if value is None:
        return None
    if isinstance(value, msgspec.Struct):
        own: Callable[[], object] | None = getattr(value, "meaning", None)
        return fields_given(value) if own is None else own()
    if isinstance(value, list | tuple):
        return [meaning(item) for item in value]
    if isinstance(value, float):
        return value + 0.0  # -0.0 is another bit pattern and the same number.
    return value


def fields_given(value: msgspec.Struct) -> dict[str, Any]:
    """What those fields mean that differ from their defaults."""
    return {
        name: meaning(given)
        for name, default in _defaults(type(value))
        if (given := getattr(value, name)) != default
    }


@lru_cache(maxsize=256)
def _defaults(struct: type[msgspec.Struct]) -> tuple[tuple[str, object], ...]:
    return tuple(
        (
            field.name,
            field.default
            if field.default_factory is msgspec.NODEFAULT
            else field.default_factory(),
        )
        for field in msgspec.structs.fields(struct)
    )
