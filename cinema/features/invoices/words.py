"""What is printed on documents besides names and amounts, in two languages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

from cinema.domain.money import CURRENCY_DIGITS, Money
from cinema.features.invoices.shapes import DocumentKind

TITLES: Final[Mapping[str, Mapping[DocumentKind, str]]] = {
    "en": {"invoice": "Invoice", "credit_note": "Credit note", "cancellation": "Cancellation"},
    "de": {
        "invoice": "Rechnung",
        "credit_note": "Rechnungskorrektur",
        "cancellation": "Stornorechnung",
    },
}
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "number": "Number",
        "date": "Date",
        "booking": "Booking",
        "corrects": "Corrects invoice {number} of {date}",
        "supplements": "Other seats, in addition to invoice {number} of {date}",
        "instead_of": "Seat {seat}, instead of {former}",
        "tax_number": "Tax number",
        "buyer": "Customer",
        "item": "Item",
        "seat": "Seat",
        "type": "Ticket",
        "rate": "Tax",
        "price": "Price",
        "net": "Net",
        "tax": "Tax amount",
        "gross": "Gross",
        "total": "Total",
        "refunded": "Total given back",
        "payment": "Payment",
        "included": "All prices include tax.",
        "page": "{number}, page {page} of {pages}",
    },
    "de": {
        "number": "Nummer",
        "date": "Datum",
        "booking": "Buchung",
        "corrects": "Korrigiert die Rechnung {number} vom {date}",
        "supplements": "Andere Plätze, zusätzlich zur Rechnung {number} vom {date}",
        "instead_of": "Platz {seat} statt {former}",
        "tax_number": "Steuernummer",
        "buyer": "Kunde",
        "item": "Position",
        "seat": "Platz",
        "type": "Karte",
        "rate": "USt.",
        "price": "Preis",
        "net": "Netto",
        "tax": "Steuer",
        "gross": "Brutto",
        "total": "Gesamt",
        "refunded": "Erstattet",
        "payment": "Zahlung",
        "included": "Alle Preise enthalten die Umsatzsteuer.",
        "page": "{number}, Seite {page} von {pages}",
    },
}
_METHODS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "demo": "Demo",
        "counter": "At the counter",
        "counter_later": "At the counter",
        "stripe": "Card",
        "gift_card": "Gift card",
        "points": "Points",
        "free": "Nothing to pay",
    },
    "de": {
        "demo": "Demo",
        "counter": "An der Kasse",
        "counter_later": "An der Kasse",
        "stripe": "Karte",
        "gift_card": "Gutschein",
        "points": "Punkte",
        "free": "Nichts zu zahlen",
    },
}
_TYPES: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {},
    "de": {
        "adult": "Erwachsene",
        "child": "Kind",
        "student": "Studierende",
        "senior": "Senioren",
        "companion": "Begleitung",
        "member": "Mitglied",
        "complimentary": "Freikarte",
    },
}


def method(code: str, language: str) -> str:
    """How a payment method is printed."""
    return _METHODS[language].get(code, _plain(code))


def ticket(code: str, name: str, language: str) -> str:
    """How a ticket's type is printed: by its name, if the cinema has given it one."""
    return name or _TYPES[language].get(code, _plain(code))


def _plain(code: str) -> str:
    text = code.replace("_", " ").replace("-", " ")
    return text[:1].upper() + text[1:]


def amount(money: Money, language: str) -> str:
    """An amount as people write it: `1,250.00 EUR`, `1.250,00 EUR`, `1,900 JPY`."""
    digits = CURRENCY_DIGITS[money.currency]
    major, minor = divmod(money.amount, 10**digits)
    text = f"{major:,}"
    if digits:
        text += f".{minor:0{digits}}"
    return f"{_local(text, language)} {money.currency}"


def percent(rate: int, language: str) -> str:
    """A rate in hundredths of a percent: `19 %`, `8.88 %`."""
    whole, part = divmod(rate, 100)
    text = f"{whole}.{part:02}".rstrip("0") if part else f"{whole}"
    return f"{_local(text, language)} %"


def day(on: date, language: str) -> str:
    """A day: `2026-06-01`, or `01.06.2026` in German."""
    return f"{on:%d.%m.%Y}" if language == "de" else on.isoformat()


def minute(starts: str, language: str) -> str:
    """A time on a cinema's clock, given as `2026-06-01 20:15`."""
    on, _, clock = starts.partition(" ")
    return f"{day(date.fromisoformat(on), language)}, {clock}"


def _local(number: str, language: str) -> str:
    return number.translate(str.maketrans(",.", ".,")) if language == "de" else number
