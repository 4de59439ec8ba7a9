"""What the document shows of the pages."""

from __future__ import annotations

from typing import Any, Final

SITE: Final[dict[str, Any]] = {
    "demo_accounts": [
        {"role": "customer", "email": "customer@cinema.example", "password": "demo-customer"}
    ],
    "demo_payment": True,
    "stripe_key": "pk_test_51Hx9",
}
