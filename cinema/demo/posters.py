"""Posters of the demo's films, drawn by code: a motif of plain shapes, and the title in type.

They are drawn at the largest width, and made smaller from there. Nothing is random, so every start
draws the same pictures.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from math import atan2, cos, hypot, pi, sin
from typing import TYPE_CHECKING, Final, NamedTuple
from unicodedata import normalize

from cinema.demo.catalog import DemoFilm
from cinema.integrations.images import WIDTHS

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

WIDTH: Final = max(WIDTHS)
HEIGHT: Final = WIDTH * 3 // 2

QUALITY: Final = 80
_MARGIN: Final = 110
_TITLE_PX: Final = 210
_SMALL_PX: Final = 54

ACUTE: Final = "\u0301"

Color = tuple[int, int, int]


class _Style(NamedTuple):
    """Colours from the top of the sky to its bottom, of the motif, and of the type."""

    top: Color
    bottom: Color
    shape: Color
    light: Color
    motif: Callable[[ImageDraw, _Style], None]


def posters(film: DemoFilm) -> list[bytes]:
    """The poster of a film as WebP, in each of `WIDTHS`."""
    from PIL.Image import Resampling

    picture = drawn(film)
    made: dict[int, bytes] = {}
    for width in sorted(WIDTHS, reverse=True):
        if picture.width != width:
            picture = picture.resize((width, width * HEIGHT // WIDTH), Resampling.BOX)
        out = io.BytesIO()
        # A tenth larger than by the next method, in two thirds of its time.
        picture.save(out, "WEBP", quality=QUALITY, method=0)
        made[width] = out.getvalue()
    return [made[width] for width in WIDTHS]


def drawn(film: DemoFilm) -> Image:
    """The poster of a film, at the largest width."""
    from PIL import Image, ImageDraw

    style = STYLES[film.title]
    column = Image.new("RGB", (1, HEIGHT))
    for y in range(HEIGHT):
        column.putpixel((0, y), _between(style.top, style.bottom, y / HEIGHT))
    picture = column.resize((WIDTH, HEIGHT))
    draw = ImageDraw.Draw(picture)
    style.motif(draw, style)
    set_type(draw, film, style)
    return picture


def _between(first: Color, second: Color, share: float) -> Color:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def set_type(draw: ImageDraw, film: DemoFilm, style: _Style) -> None:
    """The title over the lower edge, as large as it fits, and a line below it."""
    from PIL import ImageFont

    size = _TITLE_PX
    while True:
        font = ImageFont.load_default(size)
        lines = _lines(draw, film.title.upper(), font)
        if len(lines) <= 3 and max(draw.textlength(one, font) for one in lines) <= _room():
            break
        size -= 10
    small = ImageFont.load_default(_SMALL_PX)
    line_px = round(size * 1.08)
    top = HEIGHT - _MARGIN - 2 * _SMALL_PX - line_px * len(lines)
    for at, line in enumerate(lines):
        _write(draw, line, top + at * line_px, style.light, font)
    rule = HEIGHT - _MARGIN - round(1.5 * _SMALL_PX)
    draw.line((_MARGIN, rule, WIDTH - _MARGIN, rule), style.light, 4)
    about = f"{film.release_date.year}   {film.runtime_minutes} min   {' / '.join(film.genres)}"
    draw.text((_MARGIN, rule + 24), about, style.light, small)


def _room() -> int:
    return WIDTH - 2 * _MARGIN


def _lines(draw: ImageDraw, title: str, font: FreeTypeFont | ImageFont) -> list[str]:
    """The title in lines; what is behind a colon begins a new one."""
    lines: list[str] = []
    for part in title.replace(": ", ":\n").split("\n"):
        lines.append("")
        for word in part.split():
            longer = f"{lines[-1]} {word}".strip()
            if not lines[-1] or draw.textlength(longer, font) <= _room():
                lines[-1] = longer
            else:
                lines.append(word)
    return lines


def _write(
    draw: ImageDraw, line: str, top: int, color: Color, font: FreeTypeFont | ImageFont
) -> None:
    """A line of the title. The font that comes with the library has no accents: they are drawn."""
    plain = ""
    for mark in normalize("NFD", line):
        if mark != ACUTE:
            plain += mark
            continue
        right = _MARGIN + draw.textlength(plain, font)
        middle = right - draw.textlength(plain[-1], font) / 2
        draw.line((middle - 14, top + 18, middle + 30, top - 28), color, 16)
    draw.text((_MARGIN, top), plain, color, font)


def _circle(draw: ImageDraw, x: float, y: float, radius: float, color: Color) -> None:
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), color)


def _ring(draw: ImageDraw, x: float, y: float, radius: float, color: Color, px: int) -> None:
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=color, width=px)


def _towers(draw: ImageDraw, style: _Style) -> None:
    """Beams of light behind towers with steps."""
    for at in range(-4, 5):
        x = WIDTH / 2 + at * 420
        color = _between(style.top, style.light, 0.22)
        draw.polygon([(WIDTH / 2, 1500), (x - 70, 0), (x + 70, 0)], color)
    for at, height in enumerate((700, 1000, 1380, 1120, 820)):
        for step in range(4):
            left = 60 + at * 300 + step * 34
            top = 1750 - height * (0.55 + 0.15 * step)
            color = _between(style.shape, style.bottom, 0.16 * (3 - step) + 0.08 * (at % 2))
            draw.rectangle((left, top, left + 240 - 68 * step, 1760), color)
    draw.rectangle((0, 1750, WIDTH, HEIGHT), style.bottom)


def _arches(draw: ImageDraw, style: _Style) -> None:
    """Doors within doors, and a moon."""
    for at in range(5):
        inset = 130 + at * 115
        color = _between(style.shape, style.light, at / 4.6)
        draw.ellipse((inset, 240 + at * 130, WIDTH - inset, 1500), color)
        draw.rectangle((inset, 870 + at * 65, WIDTH - inset, 1760), color)
    _circle(draw, WIDTH / 2, 1180, 105, style.top)
    draw.rectangle((0, 1740, WIDTH, HEIGHT), style.bottom)


def _bow(draw: ImageDraw, style: _Style) -> None:
    """A bow tie below a collar."""
    middle = WIDTH / 2
    draw.polygon([(middle, 1260), (240, 120), (WIDTH - 240, 120)], style.light)
    draw.polygon([(middle, 980), (420, 120), (WIDTH - 420, 120)], style.top)
    for side in (-1, 1):
        draw.polygon(
            [
                (middle, 1130),
                (middle + side * 470, 900),
                (middle + side * 520, 1130),
                (middle + side * 470, 1360),
            ],
            style.shape,
        )
    draw.rounded_rectangle((middle - 92, 1030, middle + 92, 1230), 40, _darker(style.shape))


def _darker(color: Color) -> Color:
    return _between(color, (0, 0, 0), 0.35)


def _dots(draw: ImageDraw, style: _Style) -> None:
    """A burst in the dots of cheap print."""
    middle_x, middle_y, step = WIDTH / 2, 830, 62
    for row in range(30):
        for at in range(27):
            x, y = at * step + row % 2 * step / 2, row * step * 0.92
            angle = sin(9 * atan2(y - middle_y, x - middle_x))
            far = hypot(x - middle_x, y - middle_y) / (820 + 190 * angle)
            if far < 1.25:
                color = style.light if far < 0.45 else style.shape
                _circle(draw, x, y, max(4.0, 34 * (1.28 - far)), color)


def _rain(draw: ImageDraw, style: _Style) -> None:
    """Columns of signs that fall."""
    for column in range(26):
        length = 9 + column * 7 % 17
        first = column * 11 % (27 - length)
        for at in range(length):
            x, y = 30 + column * 60, 60 + (first + at) * 62
            share = (at + 1) / length
            color = style.light if at == length - 1 else _between(style.top, style.shape, share)
            height = 26 + (column * 5 + at * 3) % 4 * 6
            draw.rectangle((x, y, x + 30, y + height), color)
            if (column + at) % 3:
                draw.rectangle((x + 9, y + 9, x + 21, y + height - 9), style.top)


def _stripes(draw: ImageDraw, style: _Style) -> None:
    """A lamp in a café: rings around a light, and stripes of an awning."""
    for at in range(12):
        color = style.shape if at % 2 else style.light
        left = at * WIDTH / 12
        draw.rectangle((left, 0, left + WIDTH / 12, 330), color)
        draw.ellipse((left, 250, left + WIDTH / 12, 410), color)
    for at, radius in enumerate((520, 400, 290, 190, 100)):
        _circle(draw, WIDTH / 2, 1050, radius, _between(style.bottom, style.light, 0.18 + at * 0.2))


def _waves(draw: ImageDraw, style: _Style) -> None:
    """A lantern over the sea."""
    _circle(draw, WIDTH / 2, 640, 350, style.light)
    _ring(draw, WIDTH / 2, 640, 430, style.light, 12)
    for line in range(-3, 4):
        x = WIDTH / 2 + line * 100
        bow = 350 * cos(line * 100 / 350 * pi / 2.2)
        draw.line((x, 640 - bow, x, 640 + bow), style.shape, 10)
    for row in range(7):
        for at in range(-1, 8):
            x, y = at * 260 + row % 2 * 130, 1150 + row * 115
            for ring, radius in enumerate((170, 120, 70)):
                color = style.shape if ring % 2 else _between(style.bottom, style.light, 0.25)
                _circle(draw, x, y, radius, color)
    draw.rectangle((0, 1780, WIDTH, HEIGHT), style.bottom)


def _maze(draw: ImageDraw, style: _Style) -> None:
    """Squares that turn into each other."""
    for at in range(1, 18):
        radius, turn = 1180 * 0.86**at, at * 0.19
        corners = [
            (
                WIDTH / 2 + radius * cos(turn + pi / 4 + corner * pi / 2),
                830 + radius * sin(turn + pi / 4 + corner * pi / 2),
            )
            for corner in range(4)
        ]
        draw.polygon(corners, _between(style.shape, style.light, at / 17) if at % 2 else style.top)


def _road(draw: ImageDraw, style: _Style) -> None:
    """A road into the sun."""
    horizon = 1130
    for at in range(6):
        _circle(
            draw, WIDTH / 2, horizon - 60, 640 - at * 100, _between(style.top, style.light, at / 5)
        )
    draw.rectangle((0, horizon, WIDTH, HEIGHT), style.shape)
    draw.polygon([(-500, HEIGHT), (380, horizon), (0, horizon), (-500, horizon)], style.bottom)
    draw.polygon(
        [
            (WIDTH / 2 - 18, horizon),
            (WIDTH / 2 + 18, horizon),
            (WIDTH + 160, HEIGHT),
            (-160, HEIGHT),
        ],
        _darker(style.bottom),
    )
    for at in range(3):
        near, far = 0.1 + 0.2 * at, 0.2 + 0.2 * at
        y, lower = horizon + 900 * near**2, horizon + 900 * far**2
        draw.polygon(
            [
                (WIDTH / 2 - 30 * near, y),
                (WIDTH / 2 + 30 * near, y),
                (WIDTH / 2 + 30 * far, lower),
                (WIDTH / 2 - 30 * far, lower),
            ],
            style.light,
        )


def _stairs(draw: ImageDraw, style: _Style) -> None:
    """A house above, a cellar below, and stairs between them."""
    draw.rectangle((0, 900, WIDTH, HEIGHT), style.bottom)
    draw.rectangle((240, 430, 1320, 900), style.light)
    draw.polygon([(160, 430), (1400, 430), (1300, 300), (260, 300)], style.shape)
    for at in range(4):
        left = 330 + at * 240
        draw.rectangle((left, 520, left + 170, 800), _between(style.top, style.shape, 0.25))
    for at in range(9):
        left, top = 300 + at * 110, 900 + at * 88
        draw.rectangle((left, top, left + 150, top + 44), style.light)
        draw.rectangle((left + 106, top, left + 150, top + 132), style.light)


def _atom(draw: ImageDraw, style: _Style) -> None:
    """A light that grows, and rings around it."""
    for at, radius in enumerate((760, 610, 470, 340, 220, 110)):
        _circle(draw, WIDTH / 2, 850, radius, _between(style.shape, style.light, at / 5))
    for at, radius in enumerate((860, 960, 1080, 1220)):
        _ring(draw, WIDTH / 2, 850, radius, style.shape, 14 - 3 * at)
    for at in range(12):
        angle = at * pi / 6
        _circle(draw, WIDTH / 2 + 860 * cos(angle), 850 + 860 * sin(angle), 22, style.light)


def _dunes(draw: ImageDraw, style: _Style) -> None:
    """Two moons over the sand."""
    _circle(draw, 1080, 430, 235, style.light)
    _circle(draw, 470, 640, 96, _between(style.top, style.light, 0.6))
    for at in range(6):
        points: list[tuple[float, float]] = [(0, HEIGHT)]
        for x in range(0, WIDTH + 40, 40):
            wave = sin(x / 410 + at * 1.9) + 0.35 * sin(x / 170 + at)
            points.append((x, 1010 + at * 165 - 105 * wave))
        points.append((WIDTH, HEIGHT))
        draw.polygon(points, _between(style.shape, style.bottom, at / 5))


STYLES: Final[dict[str, _Style]] = {
    "Metropolis": _Style((28, 34, 52), (16, 18, 26), (196, 158, 92), (244, 226, 180), _towers),
    "Casablanca": _Style((38, 52, 78), (30, 24, 30), (120, 66, 48), (240, 198, 140), _arches),
    "The Godfather": _Style((18, 16, 16), (10, 8, 8), (150, 22, 30), (236, 228, 214), _bow),
    "Pulp Fiction": _Style((238, 192, 52), (206, 92, 34), (178, 34, 32), (255, 244, 214), _dots),
    "The Matrix": _Style((4, 14, 10), (2, 6, 4), (32, 168, 84), (190, 255, 210), _rain),
    "Am\u00e9lie": _Style((40, 84, 60), (104, 22, 28), (176, 30, 38), (252, 220, 130), _stripes),
    "Spirited Away": _Style((30, 40, 92), (20, 52, 92), (44, 110, 150), (250, 214, 150), _waves),
    "Inception": _Style((20, 30, 46), (12, 18, 28), (62, 104, 142), (222, 232, 240), _maze),
    "Mad Max: Fury Road": _Style(
        (214, 92, 30), (120, 44, 20), (176, 78, 32), (255, 214, 130), _road
    ),
    "Parasite": _Style((148, 176, 160), (34, 44, 42), (70, 92, 82), (240, 240, 226), _stairs),
    "Oppenheimer": _Style((26, 18, 16), (14, 10, 10), (150, 48, 18), (255, 226, 168), _atom),
    "Dune: Part Two": _Style((214, 142, 92), (84, 38, 26), (222, 150, 84), (255, 232, 196), _dunes),
}
