"""Headers of mails: those that are the same in many mails are parsed and folded once.

The library reads each header by the whole grammar of its kind, which took most of the time of a
mail: of its twenty headers few differ from those of the mail before.
"""

from __future__ import annotations

from collections.abc import Callable
from email.headerregistry import BaseHeader, HeaderRegistry
from email.policy import Policy, default
from functools import lru_cache
from typing import Any, Final

ALIKE: Final = frozenset(
    {
        *("mime-version", "content-type", "content-transfer-encoding", "content-disposition"),
        *("content-language", "auto-submitted", "list-unsubscribe-post"),
    }
)
"""Headers with few values. Those of which each mail has another are not worth keeping."""

KEPT: Final = 256
"""How many are kept; those that are used go last. A boundary between parts is never seen again."""


class _FoldedOnce(BaseHeader):
    """A header that remembers how it is written; it never changes."""

    def fold(self, *, policy: Policy) -> str:
        """The header as it is sent."""
        form = (policy.max_line_length, policy.linesep, getattr(policy, "utf8", False))
        folds: dict[object, str] = self.__dict__.setdefault("_folds", {})
        folded = folds.get(form)
        if folded is None:
            folded = folds[form] = super().fold(policy=policy)
        return folded


class _Headers(HeaderRegistry):
    """Makes headers as the library does, with what it has made before."""

    def __init__(self) -> None:
        super().__init__(base_class=_FoldedOnce)
        self._classes: dict[str, Any] = {}
        self._known: Callable[[str, Any], Any] = lru_cache(KEPT)(super().__call__)

    def __getitem__(self, name: str) -> Any:
        """The class of a header, which the library would make anew each time."""
        found = self._classes.get(name)
        if found is None:
            made = super().__getitem__(name)
            if len(self._classes) >= KEPT:
                return made
            found = self._classes[name] = made
        return found

    def __call__(self, name: str, value: Any) -> Any:
        """The header; the same one for the same text, if it is one that many mails have."""
        if type(value) is str and name.lower() in ALIKE:
            return self._known(name, value)
        return super().__call__(name, value)


MAILS: Final = default.clone(header_factory=_Headers())
"""For messages that are written here: as the library's own, and quicker from the second on."""
