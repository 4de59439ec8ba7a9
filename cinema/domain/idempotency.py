"""Names of requests with an idempotency key: requests with the same meaning have the same name.

Names are made from decoded input, so the spelling (JSON's order and escapes, the case of an id, a
trailing slash) does not count. They are stored for a day, so a change in how they are made breaks
the repetitions of that day.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

import msgspec

KEY_DIGEST_BYTES = 16
FINGERPRINT_BYTES = 8

# Used as the principal of requests that need none, such as a registration.
ANONYMOUS = bytes(16)

_encode: Final = msgspec.msgpack.Encoder(order="deterministic").encode


class IdempotencyKey(msgspec.Struct, frozen=True, kw_only=True):
    """One client request: `digest` identifies it, `fingerprint` is made from its content."""

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
    """The key of a request for `operation` on the resource of the path's `ids`."""
    return IdempotencyKey(
        digest=key_digest(principal_id, operation, ids, key),
        fingerprint=request_fingerprint((meaning(body), meaning(query))),
    )


def key_digest(principal_id: bytes, operation: str, ids: tuple[bytes, ...], key: str) -> bytes:
    """16 bytes that identify `key` for one principal, operation and ids."""
    # Encoded together, two different groups never give the same bytes.
    scoped = _encode((operation, principal_id, ids, key))
    return blake2b(scoped, digest_size=KEY_DIGEST_BYTES).digest()


def request_fingerprint(asked: object) -> bytes:
    """8 bytes that are different for different content; never made from a password."""
    return blake2b(_encode(asked), digest_size=FINGERPRINT_BYTES).digest()


def meaning(value: Any) -> Any:
    """The meaning of decoded input as plain values, the same for all ways to write it.

    If the order of a list or the case of a text does not count, a Struct has a method `meaning`.
    Otherwise its meaning is its fields that differ from their defaults, so a field that the next
    version adds changes nothing for clients that do not send it.
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
    """The meaning of the fields that differ from their defaults."""
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
