"""Text as people compare it: without case, accents or extra space."""

from __future__ import annotations

import unicodedata


def fold(text: str) -> str:
    """The form in which two texts are the same to a searcher: `Amélie` and `AMELIE`."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(char for char in decomposed if not unicodedata.combining(char))
    return " ".join(bare.split())
