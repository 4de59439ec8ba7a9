"""The tokens of the control endpoint: one or more, with or without the names of their holders."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

UNNAMED_HOLDER: Final = "operator"
TOKENS_LIMIT: Final = 16
"""More would need a user management, which this is not."""

SHORTEST_TOKEN_BYTES: Final = 32

_NAMED: Final = re.compile(r"([A-Za-z0-9._@-]{1,64}):(.+)")
_BETWEEN: Final = re.compile(r"[\s,]+")


class ControlToken(NamedTuple):
    """A token and its holder."""

    holder: str
    secret: str


def parsed_tokens(text: str) -> tuple[ControlToken, ...]:
    """The tokens of `name:token name:token`, newest first; commas and lines separate them too.

    A token without a name has no known holder.
    """
    found = []
    for entry in _BETWEEN.split(text):
        named = _NAMED.fullmatch(entry)
        if named is not None:
            found.append(ControlToken(named[1], named[2]))
        elif entry:
            found.append(ControlToken(UNNAMED_HOLDER, entry))
    return tuple(found)


def problems_of_tokens(tokens: Sequence[ControlToken]) -> Iterator[str]:
    """Problems of these tokens, in development and in production."""
    if len(tokens) > TOKENS_LIMIT:
        yield f"holds more than {TOKENS_LIMIT} tokens"
    if any(len(one.secret.encode()) < SHORTEST_TOKEN_BYTES for one in tokens):
        yield f"is shorter than {SHORTEST_TOKEN_BYTES} bytes"
