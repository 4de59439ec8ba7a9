"""What is printed on tickets besides names, in two languages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "title": "Tickets",
        "seat": "Seat",
        "booking": "Booking",
        "all": "All {count} tickets of this booking",
        "all_hint": "This code lets everybody in together.",
        "age": "From age {age}",
        "page": "{code}, page {page} of {pages}",
        "film": "Film",
        "starts": "Starts",
        "screen": "Screen",
        "cinema": "Cinema",
        "ticket": "Ticket",
        "address": "Address",
    },
    "de": {
        "title": "Karten",
        "seat": "Platz",
        "booking": "Buchung",
        "all": "Alle {count} Karten dieser Buchung",
        "all_hint": "Mit diesem Code kommen alle zusammen hinein.",
        "age": "Ab {age} Jahren",
        "page": "{code}, Seite {page} von {pages}",
        "film": "Film",
        "starts": "Beginn",
        "screen": "Saal",
        "cinema": "Kino",
        "ticket": "Karte",
        "address": "Adresse",
    },
}
