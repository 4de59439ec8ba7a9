"""Terms of other nodes' showtimes, looked up here so that answers need not carry them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final, Protocol

import msgspec

from cinema.actors.activation import TermsSource
from cinema.cluster.wire import Basis
from cinema.domain.seatmap import SeatPlan
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.storage.journal import StoreUnavailable

TERMS_KEPT: Final = 20_000
"""Showtimes whose terms are kept; those least recently asked for are forgotten."""


class TermsUnknown(Exception):
    """The terms cannot be found now."""


class PlanSource(TermsSource, Protocol):
    """Where terms and other versions of a seat plan come from. May raise `StoreUnavailable`."""

    async def load_plan(self, showtime_id: bytes, version: int) -> SeatPlan | None:
        """Another version of the plan of the showtime's screen, or None."""


class DistantTerms:
    """Keeps terms by showtime; those of another basis are loaded anew, once for all who wait."""

    def __init__(self, source: PlanSource) -> None:
        self._source = source
        self._kept: OrderedDict[bytes, ShowtimeTerms] = OrderedDict()
        self._loading: dict[tuple[bytes, int], asyncio.Future[ShowtimeTerms | None]] = {}

    def known(self, showtime_id: bytes, basis: Basis) -> ShowtimeTerms | None:
        """The terms of an outcome, if they are here."""
        terms = self._kept.get(showtime_id)
        if terms is None or terms.plan.version != basis.layout_version:
            return None
        self._kept.move_to_end(showtime_id)
        return _priced(terms, basis)

    async def load(self, showtime_id: bytes, basis: Basis) -> ShowtimeTerms:
        """The terms of an outcome, loaded. Raises `TermsUnknown`."""
        # They may have come since they were looked for.
        known = self.known(showtime_id, basis)
        if known is not None:
            return known
        key = (showtime_id, basis.layout_version)
        loading = self._loading.get(key)
        if loading is not None:
            # Many answers of one showtime come at once, before the first could be shown.
            terms = await asyncio.shield(loading)
            if terms is None:
                raise TermsUnknown("they could not be loaded")
            return _priced(terms, basis)
        terms = None
        loading = self._loading[key] = asyncio.get_running_loop().create_future()
        try:
            terms = await self._load(showtime_id, basis)
        finally:
            del self._loading[key]
            loading.set_result(terms)
        self._kept[showtime_id] = terms
        if len(self._kept) > TERMS_KEPT:
            self._kept.popitem(last=False)
        return _priced(terms, basis)

    async def _load(self, showtime_id: bytes, basis: Basis) -> ShowtimeTerms:
        try:
            terms = await self._source.load_terms(showtime_id)
            if terms is not None and terms.plan.version != basis.layout_version:
                plan = await self._source.load_plan(showtime_id, basis.layout_version)
                terms = None if plan is None else msgspec.structs.replace(terms, plan=plan)
        except StoreUnavailable as error:
            raise TermsUnknown(str(error)) from error
        if terms is None:
            raise TermsUnknown(f"no terms of layout {basis.layout_version}")
        return terms


def _priced(terms: ShowtimeTerms, basis: Basis) -> ShowtimeTerms:
    if terms.prices_minor == basis.prices_minor:
        return terms
    return msgspec.structs.replace(terms, prices_minor=basis.prices_minor)
