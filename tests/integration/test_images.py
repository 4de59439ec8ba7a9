"""Pictures of strangers: what is made of good ones, and every kind of bad one."""

from __future__ import annotations

import asyncio
import io
import os
import random
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms, ImageDraw

from cinema.integrations.images import WIDTHS, ImagesBusy, UnusableImage
from cinema.integrations.images.decoding import Unusable, answer, kind_of, pictures_of
from cinema.integrations.images.worker import AT_ONCE, WAITING_LIMIT, ImageProcesses


def drawn(
    size: tuple[int, int] = (500, 750), mode: str = "RGB", kind: str = "PNG", **options: Any
) -> bytes:
    """A picture that is red above and blue below."""
    picture = Image.new("RGB", size, (200, 20, 20))
    ImageDraw.Draw(picture).rectangle((0, size[1] // 2, size[0], size[1]), fill=(20, 20, 200))
    out = io.BytesIO()
    picture.convert(mode).save(out, kind, **options)
    return out.getvalue()


def opened(content: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(content))
    picture.load()
    return picture


def is_near(pixel: Any, wanted: tuple[int, int, int]) -> bool:
    return all(abs(one - other) < 40 for one, other in zip(pixel[:3], wanted, strict=True))


RED, BLUE = (200, 20, 20), (20, 20, 200)


@pytest.mark.parametrize(
    "content",
    [
        drawn(),
        drawn(kind="JPEG"),
        drawn(kind="WEBP", lossless=True),
        drawn((3000, 4000), kind="JPEG"),
        drawn(mode="P"),
        drawn(mode="CMYK", kind="JPEG"),
        drawn(kind="JPEG") + b"PK\x03\x04 and what else there may be",
    ],
    ids=["png", "jpeg", "webp", "large", "palette", "cmyk", "jpeg-and-zip"],
)
def test_three_plain_pictures_are_made(content: bytes) -> None:
    made = [opened(one) for one in pictures_of(content, list(WIDTHS))]
    assert [picture.format for picture in made] == ["WEBP"] * 3
    assert [picture.width for picture in made] == list(WIDTHS)
    for picture in made:
        assert (
            abs(picture.height / picture.width - opened(content).height / opened(content).width)
            < 0.01
        )
        assert is_near(picture.getpixel((5, 5)), RED)
        assert is_near(picture.getpixel((5, picture.height - 5)), BLUE)
        assert not {"exif", "icc_profile", "xmp"} & set(picture.info)


def test_nothing_is_told_of_where_and_how_it_was_taken() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Secret camera"
    exif[0x0112] = 3  # upside down
    exif.get_ifd(0x8825)[1] = "N"
    content = drawn(
        kind="JPEG",
        exif=exif,
        icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        comment=b"Secret comment",
    )
    assert b"Secret camera" in content
    for one in pictures_of(content, list(WIDTHS)):
        assert b"Secret" not in one
        assert b"EXIF" not in one
        assert b"ICCP" not in one
        # Turned as it is meant to be seen.
        assert is_near(opened(one).getpixel((5, 5)), BLUE)


def test_a_broken_profile_costs_no_picture() -> None:
    made = pictures_of(drawn(icc_profile=b"no profile"), [342])
    assert is_near(opened(made[0]).getpixel((5, 5)), RED)


def test_transparency_stays() -> None:
    picture = Image.new("RGBA", (400, 400), (0, 0, 0, 0))
    out = io.BytesIO()
    picture.save(out, "PNG")
    (made,) = pictures_of(out.getvalue(), [342])
    assert opened(made).convert("RGBA").getpixel((5, 5))[3] == 0


def test_sixteen_bits_of_grey_become_eight() -> None:
    picture = Image.new("I;16", (400, 400), 0x8000)
    out = io.BytesIO()
    picture.save(out, "PNG")
    (made,) = pictures_of(out.getvalue(), [342])
    assert is_near(opened(made).convert("RGB").getpixel((5, 5)), (128, 128, 128))


def several_frames(kind: str) -> bytes:
    frames = [Image.new("RGB", (400, 400), (shade, 0, 0)) for shade in (0, 100, 200)]
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:], duration=100)
    return out.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few kilobytes that says it has this size, with nearly nothing in it."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes(1 << 20), 9))
    return b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b"")


def webp_of(width: int, height: int) -> bytes:
    """A small WebP that says it has this size."""
    content = drawn(kind="WEBP")
    return content[:26] + struct.pack("<HH", width, height) + content[30:]


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


NOISE = random.Random(7).randbytes(5000)
BAD = {
    "text": (b"hello", "NOT_AN_IMAGE"),
    "empty": (b"", "NOT_AN_IMAGE"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "NOT_AN_IMAGE"),
    "gif": (drawn(mode="P", kind="GIF"), "NOT_AN_IMAGE"),
    "tiff": (drawn(kind="TIFF"), "NOT_AN_IMAGE"),
    "gif-and-script": (b"GIF89a/*" + drawn() + b"*/=1;alert(1)", "NOT_AN_IMAGE"),
    "html-and-jpeg": (b"<script>alert(1)</script>" + drawn(kind="JPEG"), "NOT_AN_IMAGE"),
    "wave": (b"RIFF\x00\x00\x00\x00WAVEfmt ", "NOT_AN_IMAGE"),
    "half-a-png": (cut(drawn()), "DAMAGED"),
    "half-a-jpeg": (cut(drawn((2000, 2000), kind="JPEG")), "DAMAGED"),
    "half-a-webp": (cut(drawn((2000, 2000), kind="WEBP", lossless=True)), "DAMAGED"),
    "noisy-png": (b"\x89PNG\r\n\x1a\n" + NOISE, "DAMAGED"),
    "noisy-jpeg": (b"\xff\xd8\xff" + NOISE, "DAMAGED"),
    "noisy-webp": (b"RIFF\x00\x10\x00\x00WEBPVP8 " + NOISE, "DAMAGED"),
    "png-in-a-jpeg": (b"\xff\xd8\xff" + drawn(), "DAMAGED"),
    "bomb": (bomb(60_000, 60_000), "TOO_MANY_PIXELS"),
    "just-too-many": (bomb(8000, 5001), "TOO_MANY_PIXELS"),
    "too-many-of-webp": (webp_of(5000, 5001), "TOO_MANY_PIXELS"),
    "what-webp-may-have": (webp_of(5000, 5000), "DAMAGED"),
    "animated-webp": (several_frames("WEBP"), "SEVERAL_FRAMES"),
    "animated-png": (several_frames("PNG"), "SEVERAL_FRAMES"),
    "one-pixel": (drawn((1, 1)), "TOO_SMALL"),
    "narrower-than-made": (drawn((341, 500)), "TOO_SMALL"),
    "strip": (drawn((342, 1400)), "TOO_NARROW"),
}


@pytest.mark.parametrize("name", BAD)
def test_of_what_is_no_picture_none_is_made(name: str) -> None:
    content, reason = BAD[name]
    with pytest.raises(Unusable) as caught:
        pictures_of(content, [342])
    assert caught.value.reason == reason
    assert f'"reason": "{reason}"'.encode() in answer(content, [342])


def test_kinds_are_told_by_their_first_bytes() -> None:
    for kind in ("JPEG", "PNG", "WEBP"):
        assert kind_of(drawn(kind=kind)) == kind


@pytest.mark.process
async def test_a_process_makes_the_pictures() -> None:
    made = await ImageProcesses().make(drawn(kind="JPEG"))
    assert [opened(one).width for one in made] == list(WIDTHS)
    with pytest.raises(UnusableImage) as caught:
        await ImageProcesses().make(BAD["svg"][0])
    assert caught.value.reason == "NOT_AN_IMAGE"


@pytest.mark.process
@pytest.mark.slow
async def test_the_largest_pictures_fit_into_a_process() -> None:
    """The slowest and largest of all that is accepted, so about a second each."""
    for mode, kind, size in (
        ("RGBA", "PNG", (8000, 5000)),
        ("CMYK", "JPEG", (8000, 5000)),
        ("RGBA", "WEBP", (5000, 5000)),
    ):
        content = drawn(size, mode, kind)
        made = await ImageProcesses(time_limit_s=60).make(content)
        assert [opened(one).width for one in made] == list(WIDTHS)


def program(tmp_path: Path, text: str) -> tuple[str, ...]:
    path = tmp_path / "program.py"
    path.write_text(text)
    return (str(path),)


@pytest.mark.process
async def test_a_process_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    text = f"import os, time\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
    images = ImageProcesses(program(tmp_path, text + "time.sleep(600)"), time_limit_s=0.5)
    # It has used no processor: not the picture is to blame.
    with pytest.raises(ImagesBusy):
        await images.make(b"x" * 1_000_000)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.process
@pytest.mark.parametrize(
    "text",
    [
        "import os; os.abort()",
        "print('{')",
        "print('{\"sizes\": [1, 2, 3]}')",
        "print('{}')",
        "import sys\nwhile True: sys.stdout.buffer.write(bytes(1 << 20))",
        # The memory of a process is limited before it reads anything.
        """import sys; sys.path.insert(0, {folder!r})
import decoding; decoding.limit_process(); bytearray(600 << 20)""",
    ],
    ids=["dies", "half", "too-short", "nothing", "endless", "memory"],
)
async def test_a_process_that_fails_has_made_no_picture(tmp_path: Path, text: str) -> None:
    import cinema.integrations.images as room

    filled = text.replace("{folder!r}", repr(str(Path(room.__file__).parent)))
    with pytest.raises(UnusableImage) as caught:
        await ImageProcesses(program(tmp_path, filled)).make(b"1")
    assert caught.value.reason in {"TOO_COSTLY", "DAMAGED"}


@pytest.mark.process
async def test_too_many_pictures_at_once_are_refused(tmp_path: Path) -> None:
    images = ImageProcesses(program(tmp_path, "import time; time.sleep(600)"))
    asked = [asyncio.ensure_future(images.make(b"1")) for _ in range(AT_ONCE + WAITING_LIMIT)]
    await asyncio.sleep(0)
    with pytest.raises(ImagesBusy):
        await images.make(b"1")
    for one in asked:
        one.cancel()
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(one, asyncio.CancelledError) for one in results)
