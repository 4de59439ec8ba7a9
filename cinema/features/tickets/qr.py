"""QR codes of tickets as pictures: dark on white with a quiet zone, on whatever background."""

from __future__ import annotations

from io import BytesIO
from typing import Final

import segno

QUIET_MODULES: Final = 4
"""The white border that readers need (ISO/IEC 18004, 9.1): it is part of the picture."""

PNG_SCALE: Final = 8
"""Pixels of a module: 392 for a ticket's code, sharp on a telephone."""


def code_of(text: str) -> segno.QRCode:
    """The code at level M: it is read with an eighth of it dirty."""
    return segno.make_qr(text, error="m", boost_error=False)


def svg_of(text: str) -> bytes:
    """As an SVG that takes the size of its place."""
    out = BytesIO()
    code_of(text).save(
        out,
        kind="svg",
        border=QUIET_MODULES,
        dark="#000",
        light="#fff",
        omitsize=True,
        title="QR code",
    )
    return out.getvalue()


def png_of(text: str) -> bytes:
    """As a PNG without transparency."""
    out = BytesIO()
    code_of(text).save(
        out, kind="png", border=QUIET_MODULES, scale=PNG_SCALE, dark="#000", light="#fff"
    )
    return out.getvalue()
