"""A film of one picture, for the browser's camera that is none."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import segno
from PIL import Image

WIDTH, HEIGHT = 640, 480
FRAMES = 10


def film_of_code(text: str, path: Path) -> Path:
    """A QR code in the middle of a grey wall, as YUV4MPEG2."""
    picture = BytesIO()
    segno.make(text, error="m").save(picture, kind="png", scale=6, border=4)
    code = Image.open(picture).convert("L")
    wall = Image.new("L", (WIDTH, HEIGHT), 150)
    wall.paste(code, ((WIDTH - code.width) // 2, (HEIGHT - code.height) // 2))
    without_colour = bytes([128]) * (WIDTH * HEIGHT // 2)
    frame = b"FRAME\n" + wall.tobytes() + without_colour
    head = f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F10:1 Ip A1:1 C420jpeg\n".encode()
    path.write_bytes(head + frame * FRAMES)
    return path
