"""Tickets and doors, as the tests of them ask for it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pypdfium2
import zxingcpp

from tests.e2e.api.house import Answer, House


async def open_doors(house: House, **rules: Any) -> str:
    """A showtime that starts in ten minutes, so people are let in."""
    showtime_id = await house.showtime(**rules)
    await house.move(showtime_id, starts_in=timedelta(minutes=10))
    return showtime_id


async def tickets_of(house: House, person: str, booking_id: str) -> list[dict[str, Any]]:
    """The tickets of a booking."""
    answer = await house.ask(person, "GET", f"tickets?booking_id={booking_id}")
    assert answer.status == 200, answer
    return list(answer.data)


async def sold(
    house: House, showtime_id: str, *seats: str, person: str = "ada"
) -> list[dict[str, Any]]:
    """The tickets of a new booking."""
    return await tickets_of(house, person, await house.booked(person, showtime_id, *seats))


async def scan(house: House, token: str, *, by: str | None = "staff", **more: Any) -> Answer:
    """A code that is shown at a door; `device` is the token of a scanner."""
    headers = {"Device-Token": device} if (device := more.pop("device", None)) else {}
    person = None if headers else by
    return await house.ask(
        person, "POST", "tickets/scan", {"token": token, **more}, headers=headers
    )


async def device(house: House, name: str = "Door 1", *, by: str = "manager") -> dict[str, Any]:
    """A new scanner and its token."""
    path = f"cinemas/{house.cinema_id}/scanners"
    answer = await house.ask(by, "POST", path, {"name": name})
    assert answer.status == 201, answer
    return dict(answer.data)


def read_codes(pdf: bytes) -> list[str]:
    """The QR codes on the pages of a document, as they are rendered for print."""
    found: list[str] = []
    document = pypdfium2.PdfDocument(pdf)
    for page in document:
        picture = page.render(scale=200 / 72).to_pil()
        codes = zxingcpp.read_barcodes(picture)
        found += [one.text for one in sorted(codes, key=lambda one: one.position.top_left.y)]
    return found
