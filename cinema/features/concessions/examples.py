"""Examples of products and of what is picked up, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import BOOKING_ID, CINEMA_ID, PRODUCT_ID, SHOWTIME_ID

IMAGE_URL: Final = f"/media/{'3f' * 32}-780.webp"

PRODUCT_FIELDS: Final[dict[str, Any]] = {
    "name": "Popcorn, large",
    "names": {"de": "Popcorn, groß"},
    "category": "popcorn",
    "price": 650,
    "tax": "standard",
}
PRODUCT_INPUT: Final[dict[str, Any]] = {"cinema_id": CINEMA_ID, **PRODUCT_FIELDS}
PRODUCT: Final[dict[str, Any]] = {
    "id": PRODUCT_ID,
    **PRODUCT_INPUT,
    "currency": "EUR",
    "on_sale_from": None,
    "on_sale_until": None,
    "active": True,
    "version": 1,
    "image_url": IMAGE_URL,
}
PRODUCT_CHANGED: Final = PRODUCT | {"version": 2}
WITHOUT_IMAGE: Final = PRODUCT | {"version": 3, "image_url": None}
PRODUCT_GONE: Final = {"id": PRODUCT_ID, "deleted_at": "2026-06-01T17:31:00Z"}
ON_SALE: Final[dict[str, Any]] = {
    "id": PRODUCT_ID,
    "name": "Popcorn, large",
    "names": {"de": "Popcorn, groß"},
    "category": "popcorn",
    "price": {"amount": 650, "currency": "EUR"},
    "image_url": IMAGE_URL,
}
PICK_UP_INPUT: Final = {"cinema_id": CINEMA_ID, "code": "7KQ2M"}
ORDER: Final[dict[str, Any]] = {
    "booking_id": BOOKING_ID,
    "booking_code": "K7M2Q9XA",
    "cinema_id": CINEMA_ID,
    "showtime_id": SHOWTIME_ID,
    "starts_at": "2026-06-01T18:15:00Z",
    "code": "7KQ2M",
    "items": [{"product_id": PRODUCT_ID, "name": "Popcorn, large", "quantity": 2}],
    "status": "open",
    "picked_up_at": None,
}
PICKED_UP: Final = ORDER | {"status": "picked_up", "picked_up_at": "2026-06-01T18:02:00Z"}
