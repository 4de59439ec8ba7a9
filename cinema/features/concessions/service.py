"""Products by managers, what customers can buy, and what staff hand out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from uuid import UUID

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.money import Money
from cinema.domain.pricing.quotes import OrderedProduct as Sold
from cinema.domain.principal import Principal
from cinema.domain.rejections import refuse
from cinema.features.accounts.authority import require_own_cinema, serves
from cinema.features.accounts.shapes import Client
from cinema.features.accounts.user_store import Act
from cinema.features.concessions.rules import (
    check_choices,
    check_product,
    chosen,
    is_on_sale,
    new_pick_up_code,
    pick_up_key,
)
from cinema.features.concessions.shapes import (
    ConcessionChoice,
    PickUp,
    PickUpInput,
    PickUpOrder,
    Product,
    ProductFields,
    ProductGone,
    ProductInput,
    ProductOnSale,
)
from cinema.features.concessions.store import ConcessionsRepository, Kept
from cinema.features.refusals import found

Seen = frozenset[int] | None


class ConcessionsService:
    """Use cases of products; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        concessions: ConcessionsRepository,
        *,
        new_id: Callable[[], bytes],
        now: Callable[[], datetime],
    ) -> None:
        self._concessions = concessions
        self._new_id = new_id
        self._now = now

    # --- products

    async def on_sale(self, cinema_id: UUID) -> list[ProductOnSale]:
        """What customers can buy there now, by category and name. Refuses NOT_FOUND."""
        cinema, now = found(await self._concessions.cinema(cinema_id)), self._now()
        products = [
            one
            for one in await self._concessions.products(cinema_id)
            if is_on_sale(one, cinema.currency, now)
        ]
        return [
            ProductOnSale(
                id=one.id,
                name=one.name,
                names=one.names,
                category=one.category,
                price=Money(one.price, one.currency),
                image_url=one.image_url,
            )
            for one in sorted(products, key=lambda one: (one.category, one.name, one.id))
        ]

    async def products(self, by: Principal, cinema_id: UUID) -> list[Product]:
        """All products of a cinema, for those who work there. Refuses NOT_FOUND, FORBIDDEN."""
        found(await self._concessions.cinema(cinema_id))
        require_own_cinema(by, cinema_id)
        return await self._concessions.products(cinema_id)

    async def product(self, by: Principal, product_id: UUID) -> Product:
        """One product. Refuses NOT_FOUND, FORBIDDEN."""
        product = found(await self._concessions.find(product_id))
        require_own_cinema(by, product.cinema_id)
        return product

    async def add(
        self, by: Principal, request: ProductInput, client: Client, key: IdempotencyKey | None
    ) -> Product:
        """A new product. Refuses FORBIDDEN, VALIDATION_ERROR, UNKNOWN_REFERENCE, PRODUCT_LIMIT."""
        require_own_cinema(by, request.cinema_id)
        return await self._concessions.add(
            UUID(bytes=self._new_id()),
            request,
            self._act(by, client),
            key,
            allow=lambda tax_rates: check_product(request, tax_rates),
        )

    async def change(
        self, by: Principal, product_id: UUID, request: ProductFields, seen: Seen, client: Client
    ) -> Product:
        """A product as it is from now on; its cinema stays.

        Refuses NOT_FOUND, FORBIDDEN, VALIDATION_ERROR, PRECONDITION_REQUIRED, PRECONDITION_FAILED.
        """
        await self.product(by, product_id)
        return await self._concessions.change(
            product_id,
            _versions(seen),
            request,
            self._act(by, client),
            allow=lambda tax_rates: check_product(request, tax_rates),
        )

    async def delete(
        self,
        by: Principal,
        product_id: UUID,
        seen: Seen,
        client: Client,
        key: IdempotencyKey | None,
    ) -> ProductGone:
        """Sell a product no longer.

        Refuses NOT_FOUND, FORBIDDEN, PRECONDITION_REQUIRED, PRECONDITION_FAILED. If it is gone,
        this may be a repetition with the same key: the store knows its answer.
        """
        product = await self._concessions.find(product_id)
        if product is not None:
            require_own_cinema(by, product.cinema_id)
        act = self._act(by, client)
        return await self._concessions.delete(product_id, _versions(seen), act, key)

    # --- sales

    async def sold(
        self, choices: Sequence[ConcessionChoice], cinema_id: UUID, currency: str
    ) -> tuple[Sold, ...]:
        """What was chosen, at the prices and tax rates of now.

        Refuses VALIDATION_ERROR, UNKNOWN_PRODUCT, RETRY.
        """
        if not choices:
            return ()
        check_choices(choices, "$.concessions")
        cinema = await self._concessions.cinema(cinema_id)
        products = {one.id: one for one in await self._concessions.products(cinema_id)}
        rates = {} if cinema is None else cinema.tax_rates
        return chosen(choices, products, rates, currency, self._now())

    async def reserve(self, booking_id: UUID, cinema_id: UUID) -> str:
        """A code to pick up for a booking that is going to be made. Refuses RETRY."""
        return await self._concessions.reserve(booking_id, cinema_id, new_pick_up_code, self._now())

    async def give_back(self, booking_id: UUID) -> None:
        """Forget the code of a booking that was certainly not made. Refuses RETRY."""
        await self._concessions.give_back(booking_id)

    async def pick_up_of(self, booking_id: UUID) -> PickUp | None:
        """The code of a booking. Refuses RETRY."""
        return await self._concessions.pick_up_of(booking_id)

    async def keep(self, booking_id: UUID, token: bytes) -> Kept:
        """Hand nothing out of a booking while `token` may cancel it. Refuses RETRY.

        So what goes back with money is not handed out too, whatever comes first.
        """
        return await self._concessions.keep(booking_id, token, self._now())

    async def release(self, booking_id: UUID, token: bytes) -> None:
        """It was not cancelled as a whole. Refuses RETRY."""
        await self._concessions.release(booking_id, token)

    # --- at the counter

    async def open(self, by: Principal, cinema_id: UUID, day: date | None) -> list[PickUpOrder]:
        """What is to be handed out for the showtimes of a day. Refuses NOT_FOUND, FORBIDDEN."""
        found(await self._concessions.cinema(cinema_id))
        self._require_counter(by, cinema_id)
        return await self._concessions.open(cinema_id, day, self._now())

    async def pick_up(
        self, by: Principal, request: PickUpInput, client: Client, key: IdempotencyKey | None
    ) -> PickUpOrder:
        """Hand out what a code is for, once.

        Refuses FORBIDDEN, NOT_FOUND, ALREADY_PICKED_UP, PAYMENT_IN_PROGRESS, BOOKING_ENDED, RETRY.
        """
        self._require_counter(by, request.cinema_id)
        act = self._act(by, client)
        return await self._concessions.pick_up(
            request.cinema_id, pick_up_key(request.code), act, key
        )

    def _require_counter(self, by: Principal, cinema_id: UUID) -> None:
        if not serves(by, cinema_id):
            raise refuse("FORBIDDEN", "You do not work at this cinema.")

    def _act(self, by: Principal, client: Client) -> Act:
        return Act(
            by=UUID(bytes=by.user_id),
            at=self._now(),
            client=client,
            entry_id=UUID(bytes=self._new_id()),
        )


def _versions(seen: Seen) -> frozenset[int]:
    """What was seen of what is to be changed. Refuses PRECONDITION_REQUIRED without any."""
    if seen is None:
        raise refuse("PRECONDITION_REQUIRED")
    return seen
