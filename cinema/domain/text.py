"""Text in the form in which people compare it, and invisible characters."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_BASE_LETTERS: Final = (
    "æae œoe ꜳaa ꜵao ꜷau ꜹav ꜽay ꝏoo ðd đd ɖd ɗd þth łl ƚl ɫl ɬl ɭl øo ɵo ħh ɦh ıi ɨi ŋn ɲn ɳn ƞn "
    "ŧt ƭt ʈt ƀb ɓb ƃb ƈc ȼc ɇe ɛe ƒf ɠg ǥg ɡg ɉj ʝj ĸq ƙk ɱm ƥp ɍr ɼr ɽr ȿs ʂs ʉu ʋv ⱱv ⱳw ƴy ɏy "
    "ƶz ȥz ʐz ɀz ’' ‘' ‚' ‛' ʼ' ʻ' ʽ' ʹ' ′' `' “\" ”\" „\" ‟\" «\" »\" ‐- ‑- ‒- –- —- ―- −-"
)
"""Letters that Unicode does not decompose, and punctuation, as in `unaccent` of Postgres."""

_FOLDED: Final = {ord(pair[0]): pair[1:] for pair in _BASE_LETTERS.split()}

_UNSEEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e00ff]"
)
"""Controls, and characters that change the direction of text, have no width, or are blank without
being a space: a name with them looks like another name. Variation selectors are allowed, because
Japanese names and emoji need them."""

_UNSEEN_IN_LINES: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
)
"""The same for paragraphs, which may have line breaks, and joiners for scripts that need them."""


def fold(text: str) -> str:
    """The form in which texts are equal for a search, as `Łódź` and `LODZ`.

    Case, accents, ligatures, kinds of apostrophe and invisible characters do not count. Follows
    `unaccent` of Postgres, which is an extension and not always available. Columns are stored
    folded: if you change this, change them too.
    """
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    bare = "".join(
        char for char in decomposed.translate(_FOLDED) if not unicodedata.combining(char)
    )
    return " ".join(_UNSEEN.sub("", " ".join(bare.split())).split())


def hidden_character(text: str, *, has_lines: bool = False) -> str | None:
    """The first character that is not allowed in a name, or in several lines; None if all are."""
    found = (_UNSEEN_IN_LINES if has_lines else _UNSEEN).search(text)
    return None if found is None else found[0]
