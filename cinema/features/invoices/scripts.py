"""Sheets for any script: other fonts for what DejaVu lacks, loaded only where a text needs them.

The fonts are those of the package `weblate-fonts`. Its modules are for something else, so it is
looked up by name and never imported; without it such characters are printed as boxes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Final

from fontTools.ttLib import TTFont as FontFile
from fpdf import FPDF
from fpdf.fonts import TTFFont

FONTS: Final = Path(__file__).parent / "fonts"

MISSING: Final = "\u25a1"
"""Printed for a character that no font has: a name without it would be another name."""

FAMILY: Final = "DejaVu"

PACKAGE: Final = "weblate_fonts"

_FILES: Final = {"": "DejaVuSans.ttf", "B": "DejaVuSans-Bold.ttf"}
_WEIGHTS: Final = {"": "Rg", "B": "Bd"}
_FOLDER: Final = "static/weblate_fonts/kurinto/ttf"

LAYOUT_TABLES: Final = ("GDEF", "GPOS", "GSUB", "kern")
"""Tables of a font that no sheet has in it, and that cost a sixth of its time: the library reads
them to leave them out. Letters are joined by the font's file, which still has them."""

_JAPANESE: Final = re.compile("[\u3040-\u30ff]")
_KOREAN: Final = re.compile("[\u1100-\u11ff\uac00-\ud7af]")
_CHINESE: Final = ("SC", "TC")

_JOINED: Final = re.compile("[\u0600-\u07ff\u0860-\u08ff\u0900-\u0dff\u0e00-\u109f\u1780-\u17ff]")
"""Letters that change their shape or place beside others."""


def _order(text: str) -> tuple[str, ...]:
    """The fonts to look into, first those of the language that the text shows: Han looks alike."""
    if _JAPANESE.search(text):
        return ("JP", *_CHINESE, "KR", "")
    if _KOREAN.search(text):
        return ("KR", *_CHINESE, "JP", "")
    return ("", *_CHINESE, "JP", "KR")


def _folder() -> Path | None:
    found = find_spec(PACKAGE)
    places = None if found is None else found.submodule_search_locations
    return Path(places[0]) / _FOLDER if places else None


@cache
def _characters(path: Path) -> frozenset[int]:
    with FontFile(path, lazy=True) as file:
        return frozenset(file.getBestCmap() or ())


def is_shaped(text: str) -> bool:
    """Whether letters have to be joined, or run from the right."""
    return bool(_JOINED.search(text)) or any(
        unicodedata.bidirectional(char) in {"R", "AL"} for char in set(text)
    )


Fonts = Mapping[str, TTFFont]


def loaded_fonts() -> Fonts:
    """What each sheet needs, read beforehand: it takes longer than a sheet. It serves for one.

    Processes that are forked have copies, and share no open file.
    """
    sheet = FPDF()
    for style, name in _FILES.items():
        sheet.add_font(FAMILY, style, FONTS / name)
    fonts = {key: font for key, font in sheet.fonts.items() if isinstance(font, TTFFont)}
    for font in fonts.values():
        reader = font.ttfont.reader
        assert reader is not None
        reader.file.close()
        reader.file = BytesIO(font.ttffile.read_bytes())
        for table in LAYOUT_TABLES:
            del font.ttfont[table]
    _characters(FONTS / _FILES[""])
    return fonts


class AnyScript(FPDF):
    """Pages on which `text` can be printed, all that will stand on them, in whatever script."""

    def __init__(self, text: str, fonts: Fonts | None = None) -> None:
        super().__init__(format="A4", unit="mm")
        self.fonts.update(fonts or loaded_fonts())
        self._printable = _characters(FONTS / _FILES[""])
        composed = unicodedata.normalize("NFC", text)
        lacking = {ord(char) for char in composed if char.isprintable()} - self._printable
        folder = _folder()
        if lacking and folder is not None:
            self._load(composed, lacking, folder)
        if is_shaped(composed):
            self.set_text_shaping(True)

    def _load(self, text: str, lacking: set[int], folder: Path) -> None:
        """Add the fonts that have something of what is lacking, until nothing is."""
        names = []
        for script in _order(text):
            characters = _characters(folder / f"KurintoSans{script}-Rg.ttf")
            if not lacking & characters:
                continue
            names.append(name := f"Kurinto{script}")
            for style, weight in _WEIGHTS.items():
                self.add_font(name, style, folder / f"KurintoSans{script}-{weight}.ttf")
            self._printable |= characters
            lacking -= characters
        self.set_fallback_fonts(names, exact_match=False)

    def printable(self, text: str) -> str:
        """A text on one line, in characters that there are."""
        line = " ".join(unicodedata.normalize("NFC", text).split())
        return "".join(char if ord(char) in self._printable else MISSING for char in line)
