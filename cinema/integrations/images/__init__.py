"""Pictures that strangers send, decoded where they can do no harm and made anew."""

from __future__ import annotations

from typing import Final, Protocol

WIDTHS: Final = (342, 780, 1560)
"""The widths in which a picture is made, pixels."""


class UnusableImage(Exception):
    """No picture can be made of this; `reason` says why in a word, the text in a sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ImagesBusy(Exception):
    """More pictures wait than will be made soon, or the machine is too busy to make one."""


class ImageMaker(Protocol):
    """Makes WebP of JPEG, PNG and WebP, with nothing of the original but what can be seen."""

    async def make(self, content: bytes) -> list[bytes]:
        """The picture in each of `WIDTHS`. Raises `UnusableImage` and `ImagesBusy`."""
