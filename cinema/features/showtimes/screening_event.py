"""A showtime as search engines read it: a `ScreeningEvent` of schema.org, in JSON-LD."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from cinema.domain.money import Money
from cinema.features.showtimes.shapes import Showtime

_SCHEMA: Final = "https://schema.org"
_STATUS: Final = {
    "scheduled": f"{_SCHEMA}/EventScheduled",
    "rescheduled": f"{_SCHEMA}/EventRescheduled",
    "cancelled": f"{_SCHEMA}/EventCancelled",
}


class ScreeningFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What film a showtime shows, and where."""

    film: str
    runtime_minutes: int
    age_rating: str | None
    cinema: str
    address: str
    city: str
    country: str
    time_zone: str
    screen: str


def screening_event(showtime: Showtime, place: ScreeningFacts) -> dict[str, Any]:
    """The document; its times are those of the cinema's clock, its prices in major units."""
    zone = ZoneInfo(place.time_zone)

    def local(moment: datetime) -> str:
        return moment.astimezone(zone).isoformat(timespec="seconds")

    film: dict[str, Any] = {
        "@type": "Movie",
        "name": place.film,
        "duration": f"PT{place.runtime_minutes}M",
    }
    if place.age_rating is not None:
        film["contentRating"] = place.age_rating
    return {
        "@context": _SCHEMA,
        "@type": "ScreeningEvent",
        "identifier": str(showtime.id),
        "name": place.film,
        "startDate": local(showtime.starts_at),
        "endDate": local(showtime.ends_at),
        "eventStatus": _STATUS[showtime.status],
        "eventAttendanceMode": f"{_SCHEMA}/OfflineEventAttendanceMode",
        "inLanguage": showtime.language,
        "videoFormat": showtime.format,
        "workPresented": film,
        "location": {
            "@type": "MovieTheater",
            "name": f"{place.cinema}, {place.screen}",
            "address": {
                "@type": "PostalAddress",
                "streetAddress": place.address,
                "addressLocality": place.city,
                "addressCountry": place.country,
            },
        },
        "offers": {
            "@type": "Offer",
            "price": _plain(showtime.base_price),
            "priceCurrency": showtime.base_price.currency,
            "validFrom": local(showtime.sales.opens_at),
            "validThrough": local(showtime.sales.closes_at),
        },
    }


def _plain(price: Money) -> str:
    return str(price).partition(" ")[0]
