"""A program that makes pictures of one file: read from standard input, written to standard output.

It is started for each file by its path, in a process of its own without environment or files: who
breaks a decoder with a file finds nothing here. It knows nothing else of this package.

The answer begins with a line of JSON: `{"sizes": [...]}` before the pictures themselves, or
`{"reason", "message"}`.
"""

from __future__ import annotations

import io
import json
import resource
import sys
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

MEMORY_LIMIT_BYTES = 512 << 20
"""Address space; 40 megapixels with transparency take 160 MiB, twice while they are turned."""

CPU_LIMIT_S = 5

PIXELS_LIMIT = 40_000_000

WEBP_PIXELS_LIMIT = 25_000_000
"""The library decodes WebP as if it moved, with four pictures in memory at a time."""

WIDTH_LEAST = 342
"""The narrowest picture that is made: a smaller original would only be blown up."""

RATIO_MOST = 4
"""How many times as high as wide, or as wide as high, a poster may be."""

QUALITY = 82

_MAGIC = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
}


class Unusable(Exception):
    """Why no picture can be made: a word for programs, and a sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def limit_process() -> None:
    """Take from this process what decoding does not need."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT_S, CPU_LIMIT_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def kind_of(content: bytes) -> str:
    """What a file is by its first bytes."""
    for magic, kind in _MAGIC.items():
        if content.startswith(magic):
            return kind
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    raise Unusable("NOT_AN_IMAGE", "Send a JPEG, PNG or WebP picture.")


def pictures_of(content: bytes, widths: list[int]) -> list[bytes]:
    """The picture in each of some widths, as WebP without anything beside the pixels."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = _decoded(content, max(widths))
            made = {width: _webp(picture, width) for width in widths}
    except Unusable:
        raise
    except MemoryError:
        raise Unusable("TOO_COSTLY", "This picture takes too much memory.") from None
    except Exception:  # noqa: BLE001  (whatever a decoder stumbles over)
        raise Unusable("DAMAGED", "This file is damaged or cut off.") from None
    return [made[width] for width in widths]


def _decoded(content: bytes, widest: int) -> Image.Image:
    """The pixels of a file, upright, in the colours of the web."""
    from PIL import Image, ImageOps

    kind = kind_of(content)
    # The library's own bound is another one, and told as an error among many.
    Image.MAX_IMAGE_PIXELS = None
    original = Image.open(io.BytesIO(content), formats=[kind])
    limit = WEBP_PIXELS_LIMIT if kind == "WEBP" else PIXELS_LIMIT
    if original.width * original.height > limit:
        text = f"A {kind} picture has at most {limit // 1_000_000} megapixels."
        raise Unusable("TOO_MANY_PIXELS", text)
    if getattr(original, "n_frames", 1) != 1:
        raise Unusable("SEVERAL_FRAMES", "Send a picture that does not move.")
    # Decodes a JPEG at half its size or less, where that is still wide enough.
    original.draft("RGB", (widest, widest))
    original.load()
    picture = ImageOps.exif_transpose(original)
    if picture.width < WIDTH_LEAST:
        raise Unusable("TOO_SMALL", f"This picture is less than {WIDTH_LEAST} pixels wide.")
    if max(picture.size) > RATIO_MOST * min(picture.size):
        raise Unusable(
            "TOO_NARROW", f"This picture is more than {RATIO_MOST} times as long as wide."
        )
    return _plain(picture)


def _plain(picture: Image.Image) -> Image.Image:
    """The same in 8 bits of red, green and blue, and with transparency if there is any."""
    from PIL import ImageCms

    if picture.mode.startswith("I"):
        # 16 bits of grey: converted at once, all but the darkest would be white.
        picture = picture.point(lambda value: value * (1 / 256)).convert("L")
    wanted = "RGBA" if picture.has_transparency_data else "RGB"
    profile = picture.info.get("icc_profile")
    if profile and picture.mode in {"L", "RGB", "RGBA", "CMYK"}:
        try:
            web = ImageCms.createProfile("sRGB")
            given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            picture = ImageCms.profileToProfile(picture, given, web, outputMode=wanted) or picture
        except (ImageCms.PyCMSError, OSError, ValueError):
            # A broken profile costs the right colours, not the picture.
            pass
    if picture.mode != wanted:
        picture = picture.convert(wanted)
    picture.info = {}
    return picture


def _webp(picture: Image.Image, width: int) -> bytes:
    from PIL import Image

    height = max(1, round(picture.height * width / picture.width))
    # A first step by whole pixels: much quicker, and not to be seen.
    made = picture.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    made.info = {}
    out = io.BytesIO()
    made.save(out, "WEBP", quality=QUALITY, method=4)
    return out.getvalue()


def answer(content: bytes, widths: list[int]) -> bytes:
    """What is written to standard output for a file."""
    try:
        pictures = pictures_of(content, widths)
    except Unusable as unusable:
        said = {"reason": unusable.reason, "message": str(unusable)}
        return json.dumps(said).encode() + b"\n"
    head = json.dumps({"sizes": [len(picture) for picture in pictures]}).encode() + b"\n"
    return head + b"".join(pictures)


def main() -> None:
    """Limit this process, then do what it is for. Its arguments are the widths."""
    limit_process()
    widths = [int(argument) for argument in sys.argv[1:]]
    sys.stdout.buffer.write(answer(sys.stdin.buffer.read(), widths))


if __name__ == "__main__":
    main()
