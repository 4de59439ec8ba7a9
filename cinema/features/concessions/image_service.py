"""Pictures of products: uploaded by managers, made anew, and shown to everybody."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from uuid import UUID

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.principal import Principal
from cinema.features.accounts.authority import require_own_cinema
from cinema.features.accounts.shapes import Client
from cinema.features.accounts.user_store import Act
from cinema.features.concessions.shapes import Product
from cinema.features.concessions.store import ConcessionsRepository
from cinema.features.refusals import found

StorePicture = Callable[[bytes], Awaitable[str]]
"""Makes pictures of an uploaded file, and gives their address (`PostersService.store`)."""


class ProductImagesService:
    """Use cases of pictures of products."""

    def __init__(
        self,
        concessions: ConcessionsRepository,
        store_picture: StorePicture,
        *,
        new_id: Callable[[], UUID],
        now: Callable[[], datetime],
    ) -> None:
        self._concessions = concessions
        self._store_picture = store_picture
        self._new_id = new_id
        self._now = now

    async def set_image(
        self,
        by: Principal,
        product_id: UUID,
        content: bytes,
        client: Client,
        key: IdempotencyKey | None,
    ) -> Product:
        """The product with a picture made of an uploaded file.

        Refuses NOT_FOUND, FORBIDDEN, UNUSABLE_IMAGE, OVERLOADED, RETRY. What is refused leaves no
        file.
        """
        await self._own(by, product_id)
        url = await self._store_picture(content)
        return await self._concessions.show_image(product_id, url, self._act(by, client), key)

    async def remove_image(
        self, by: Principal, product_id: UUID, client: Client, key: IdempotencyKey | None
    ) -> Product:
        """The product without a picture; one that has none is answered as it is.

        Refuses NOT_FOUND, FORBIDDEN, RETRY.
        """
        product = await self._own(by, product_id)
        if product.image_url is None:
            return product
        return await self._concessions.show_image(product_id, None, self._act(by, client), key)

    async def _own(self, by: Principal, product_id: UUID) -> Product:
        product = found(await self._concessions.find(product_id))
        require_own_cinema(by, product.cinema_id)
        return product

    def _act(self, by: Principal, client: Client) -> Act:
        return Act(
            by=UUID(bytes=by.user_id), at=self._now(), client=client, entry_id=self._new_id()
        )
