"""Posters of films: uploaded by admins, made anew, and shown to everybody; and other pictures."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused, refuse
from cinema.features.catalog.poster_store import PostersRepository
from cinema.features.catalog.shapes import Movie
from cinema.features.catalog.store import CatalogRepository
from cinema.features.refusals import found
from cinema.integrations.images import WIDTHS, ImageMaker, ImagesBusy, UnusableImage
from cinema.integrations.objects import ObjectStore, ObjectsUnavailable

MEDIA_TYPE: Final = "image/webp"

POSTER_WIDTH: Final = 780
"""The width of the picture that a film's `poster_url` names."""

_NAME: Final = re.compile(rf"[0-9a-f]{{64}}-(?:{'|'.join(map(str, WIDTHS))})\.webp")


class PostersService:
    """Use cases of posters."""

    def __init__(
        self,
        catalog: CatalogRepository,
        posters: PostersRepository,
        images: ImageMaker,
        objects: ObjectStore,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._catalog = catalog
        self._posters = posters
        self._images = images
        self._objects = objects
        self._now = now

    async def set_poster(
        self, by: Principal, movie_id: UUID, content: bytes, key: IdempotencyKey | None = None
    ) -> Movie:
        """The film with a poster made of an uploaded file.

        Refuses NOT_FOUND, UNUSABLE_IMAGE, OVERLOADED, RETRY. What is refused leaves no file.
        """
        movie = found(await self._catalog.find_movie(movie_id))
        url = await self.store(content)
        return await self._posters.show(movie.id, url, self._now(), UUID(bytes=by.user_id), key)

    async def store(self, content: bytes) -> str:
        """The address of pictures made of an uploaded file, which something is to show.

        Refuses UNUSABLE_IMAGE, OVERLOADED, RETRY. What is refused leaves no file.
        """
        pictures = await self._made(content)
        digest = hashlib.sha256(content).hexdigest()
        await self._posters.note(digest, self._now())
        try:
            for width, picture in zip(WIDTHS, pictures, strict=True):
                await self._objects.put(picture_name(digest, width), picture, MEDIA_TYPE)
        except ObjectsUnavailable as error:
            raise _unavailable() from error
        return f"/media/{picture_name(digest, POSTER_WIDTH)}"

    async def picture(self, name: str) -> bytes:
        """A picture by its name. Refuses NOT_FOUND, RETRY."""
        if not _NAME.fullmatch(name):
            raise refuse("NOT_FOUND")
        try:
            return found(await self._objects.get(name))
        except ObjectsUnavailable as error:
            raise _unavailable() from error

    async def sweep(self, now: datetime, limit: int) -> int:
        """Delete pictures that nothing has shown for long; how many. Refuses RETRY."""
        try:
            return await self._posters.sweep(now, limit, self._delete)
        except ObjectsUnavailable as error:
            raise _unavailable() from error

    async def _delete(self, digest: str) -> None:
        for width in WIDTHS:
            await self._objects.delete(picture_name(digest, width))

    async def _made(self, content: bytes) -> list[bytes]:
        try:
            return await self._images.make(content)
        except UnusableImage as unusable:
            raise refuse("UNUSABLE_IMAGE", str(unusable), reason=unusable.reason) from None
        except ImagesBusy:
            raise refuse("OVERLOADED") from None


def picture_name(digest: str, width: int) -> str:
    """The name of a poster's picture of one width."""
    return f"{digest}-{width}.webp"


def _unavailable() -> Refused:
    return refuse("RETRY", "The store of pictures cannot be reached; nothing was changed.")
