"""Which of several forms of an answer a client wants (RFC 9110, 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiohttp.web import BaseRequest
from multidict import istr

from cinema.domain.rejections import refuse

ACCEPT: Final = istr("Accept")

PARTS_LIMIT: Final = 32
"""So many parts of the header are looked at; a browser sends fewer than ten."""


def wanted(request: BaseRequest, offers: Sequence[str]) -> str:
    """The media type to answer with, of equally good ones the first. Refuses NOT_ACCEPTABLE.

    Without the header anything is welcome.
    """
    headers = request.headers.getall(ACCEPT, None)
    if headers is None:
        return offers[0]
    parts = [part for part in ",".join(headers).split(",")[:PARTS_LIMIT] if part.strip()]
    if not parts:
        return offers[0]
    best, best_quality = "", 0.0
    for offer in offers:
        quality = _quality(offer, parts)
        if quality > best_quality:
            best, best_quality = offer, quality
    if not best:
        raise refuse("NOT_ACCEPTABLE", offers=list(offers))
    return best


def _quality(offer: str, parts: Sequence[str]) -> float:
    """How welcome a media type is, by the most specific part that matches it."""
    precision, quality = -1, 0.0
    for part in parts:
        media, *parameters = (text.strip().lower() for text in part.split(";"))
        matches = (media == "*/*", media == f"{offer.partition('/')[0]}/*", media == offer)
        found = max((at for at, matched in enumerate(matches) if matched), default=-1)
        if found > precision:
            precision, quality = found, _weight(parameters)
    return quality


def _weight(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0
