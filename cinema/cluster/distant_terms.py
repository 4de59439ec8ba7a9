"""Terms of other nodes' showtimes, looked up here so that answers need not carry them."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from typing import Final, Protocol, TypeAlias

import msgspec
import structlog

from cinema.actors.activation import TermsLoader
from cinema.actors.tasks import Tasks
from cinema.cluster.wire import TermsVersion
from cinema.domain.seatmap import SeatPlan
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.storage.journal.store import StoreUnavailable
from cinema.telemetry.logging import LogLimit

TERMS_KEPT: Final = 20_000
"""Showtimes that have their terms kept; the least recently used ones are forgotten."""

TERMS_UNKNOWN: Final = "distant_terms_unknown"

log = structlog.get_logger(__name__)

_Wanted: TypeAlias = tuple[bytes, int, int]
"""A showtime, the version of its plan, and the least version of its terms."""


class TermsUnknown(Exception):
    """The terms cannot be found now."""


class PlanSource(TermsLoader, Protocol):
    """Where terms and other versions of a seat plan come from. May raise `StoreUnavailable`."""

    async def load_plan(self, showtime_id: bytes, version: int) -> SeatPlan | None:
        """Another version of the plan of the showtime's screen, or None."""


class DistantTerms:
    """Keeps terms by showtime. Terms of another version are loaded again, once for all that wait.

    An answer can be shown with terms that are newer than itself: it brings its prices, and its plan
    is looked up. It cannot be shown with older terms. If a caller stops waiting, the load goes on
    for the others.
    """

    def __init__(
        self,
        source: PlanSource,
        task_failures: Counter[str] | None = None,
        *,
        kept_limit: int = TERMS_KEPT,
    ) -> None:
        self._source = source
        self._kept_limit = kept_limit
        self._tasks = Tasks(task_failures)
        self._unknown = LogLimit()
        self._kept: OrderedDict[bytes, ShowtimeTerms] = OrderedDict()
        self._loading: dict[_Wanted, asyncio.Future[ShowtimeTerms | None]] = {}

    def known(self, showtime_id: bytes, terms_version: TermsVersion) -> ShowtimeTerms | None:
        """The terms of an outcome, if they are here."""
        terms = self._kept.get(showtime_id)
        if terms is None or not _fits(terms, terms_version):
            return None
        self._kept.move_to_end(showtime_id)
        return _priced(terms, terms_version)

    async def load(self, showtime_id: bytes, terms_version: TermsVersion) -> ShowtimeTerms:
        """The terms of an outcome, loaded. Raises `TermsUnknown`.

        Cancelling the wait does not cancel the load.
        """
        # They may have arrived since the caller looked.
        known = self.known(showtime_id, terms_version)
        if known is not None:
            return known
        key = (showtime_id, terms_version.layout_version, terms_version.version)
        loading = self._loading.get(key)
        if loading is None:
            # Many answers of one showtime come at once, before the first could be shown.
            loading = self._loading[key] = asyncio.get_running_loop().create_future()
            self._tasks.start("distant-terms", self._fetch(key, loading))
        terms = await asyncio.shield(loading)
        if terms is None:
            raise TermsUnknown("they could not be loaded")
        return _priced(terms, terms_version)

    async def stop(self) -> None:
        """Load nothing more; those that wait learn that the terms are unknown."""
        await self._tasks.cancel()

    async def _fetch(self, wanted: _Wanted, loading: asyncio.Future[ShowtimeTerms | None]) -> None:
        showtime_id, terms = wanted[0], None
        try:
            terms = await self._load(*wanted)
            self._kept[showtime_id] = terms
            if len(self._kept) > self._kept_limit:
                self._kept.popitem(last=False)
        except TermsUnknown as unknown:
            self._unknown.write(
                log.info, TERMS_UNKNOWN, showtime=showtime_id.hex(), reason=str(unknown)
            )
        finally:
            del self._loading[wanted]
            loading.set_result(terms)

    async def _load(self, showtime_id: bytes, layout_version: int, version: int) -> ShowtimeTerms:
        try:
            terms = await self._source.load_terms(showtime_id)
            if terms is not None and terms.plan.version != layout_version:
                plan = await self._source.load_plan(showtime_id, layout_version)
                terms = None if plan is None else msgspec.structs.replace(terms, plan=plan)
        except StoreUnavailable as error:
            raise TermsUnknown(str(error)) from error
        if terms is None or terms.version < version:
            raise TermsUnknown(f"no terms of layout {layout_version} and version {version}")
        return terms


def _fits(terms: ShowtimeTerms, terms_version: TermsVersion) -> bool:
    return (
        terms.plan.version == terms_version.layout_version
        and terms.version >= terms_version.version
    )


def _priced(terms: ShowtimeTerms, terms_version: TermsVersion) -> ShowtimeTerms:
    """The terms with the prices of the answer, and not with a newer version than the answer's."""
    version = terms_version.version or terms.version
    if terms.version == version and terms.prices_minor == terms_version.prices_minor:
        return terms
    return msgspec.structs.replace(terms, prices_minor=terms_version.prices_minor, version=version)
