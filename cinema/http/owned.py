"""Things of which one node each is the owner, as far as the server has to know them."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

OwnerOf = Callable[[bytes], str | None]
"""The address (`host:port`) of the node that owns a thing, by its id."""


class Owned(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of such things.

    `parameter` is what paths call their id, which goes into the access log. Answers to requests
    under `path`, whose first parameter it is, name the owner in a `header`; `about` describes that
    to clients.
    """

    parameter: str
    path: str
    header: str
    about: str
