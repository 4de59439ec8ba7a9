"""Promo codes as customers use them: looked up, reserved for a booking, given back."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from cinema.domain.pricing.promos import out_of_place
from cinema.domain.pricing.rules import ReadyShowtime
from cinema.domain.rejections import Refused, refuse
from cinema.domain.times import from_us
from cinema.features.accounts.throttles import Throttles
from cinema.features.pricing.promo_store import PromosRepository, terms_of
from cinema.features.pricing.promo_use_store import PromoUsesRepository
from cinema.features.pricing.rules import promo_of
from cinema.features.pricing.shapes import PromoCode
from cinema.features.pricing.use_rules import UseOfCode, customer_names


class CodesService:
    """Use cases of codes; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        promos: PromosRepository,
        uses: PromoUsesRepository,
        throttles: Throttles,
        *,
        now_us: Callable[[], int],
    ) -> None:
        self._promos = promos
        self._uses = uses
        self._throttles = throttles
        self._now_us = now_us

    async def usable(self, text: str, show: ReadyShowtime, address: str) -> PromoCode:
        """The code, if it can be used for a showtime now; for who comes from an address.

        Refuses RATE_LIMITED, UNKNOWN_PROMO_CODE.
        """
        async with self._throttles.promo_guess(address):
            return await self._find(text, show, self._now_us())

    async def usable_for(
        self, text: str, show: ReadyShowtime, customer: bytes, at_us: int
    ) -> PromoCode:
        """The code, if a customer can use it for a hold of that moment.

        Refuses RATE_LIMITED, UNKNOWN_PROMO_CODE.
        """
        async with self._throttles.promo_guess_of(customer):
            return await self._find(text, show, at_us)

    async def _find(self, text: str, show: ReadyShowtime, at_us: int) -> PromoCode:
        """The code of a text.

        Refuses UNKNOWN_PROMO_CODE whatever is wrong with it: who guesses does not
        learn that there is a code for another day.
        """
        promo = await self._promos.look_up(text)
        if promo is None or not promo.active or promo.uses == promo.max_uses:
            raise refuse("UNKNOWN_PROMO_CODE")
        domain = promo_of(promo.code, terms_of(promo))
        if out_of_place(domain, show.facts, show.ready.book.currency, at_us):
            raise refuse("UNKNOWN_PROMO_CODE")
        return promo

    async def reserve(
        self, promo: PromoCode, booking_id: UUID, user_id: UUID | None, guest_email: str | None
    ) -> None:
        """Count a use for a booking before it is made.

        The customer is an account with its verified address, or a guest with the given one; at the
        counter nobody knows who it is. Refuses UNKNOWN_PROMO_CODE, PROMO_NOT_APPLICABLE, RETRY: an
        unknown outcome too, for nothing has been booked, and what is reserved in vain is returned.
        """
        names: list[str] = []
        if user_id is not None:
            email = guest_email or await self._uses.verified_email(user_id)
            names = customer_names(user_id, email)
        try:
            await self._uses.reserve(
                UseOfCode(promo_id=promo.id, booking_id=booking_id),
                names,
                from_us(self._now_us()),
            )
        except Refused as refused:
            if refused.rejection.code == "OUTCOME_UNKNOWN":
                raise refuse("RETRY") from None
            raise

    async def give_back(self, booking_id: UUID) -> None:
        """Return the use of a booking that was certainly not made.

        If that fails, the sweep returns it later.
        """
        try:
            await self._uses.give_back(booking_id)
        except Refused:
            return
