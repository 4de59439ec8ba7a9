"""Adds demo data at the first start, and missing showtimes at each later one."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Final

from cinema.demo.catalog import AURORA, HOUSES, demo_id, movies, screens
from cinema.demo.programme import programme
from cinema.demo.store import DemoCatalog, DemoRepository, DemoUser
from cinema.domain.principal import (
    ADMIN,
    CUSTOMER,
    MANAGER,
    STAFF,
)
from cinema.domain.progress import Report, unheard
from cinema.features.accounts.passwords import OURSELVES, PasswordHasher
from cinema.features.accounts.store import NewUser
from cinema.settings import Settings
from cinema.storage.database.transactions import Pool

DEMO_ACCOUNTS: Final = {
    CUSTOMER: ("customer@cinema.example", "demo-customer"),
    STAFF: ("staff@cinema.example", "demo-staff"),
    MANAGER: ("manager@cinema.example", "demo-manager"),
    ADMIN: ("admin@cinema.example", "demo-admin"),
}
"""E-mail and password for each role; the README and `/docs` show them.

Staff and manager belong to Kino Aurora.
"""


def accounts_note() -> str:
    """The accounts of the demo, as the reference page shows them."""
    lines = [f"- {role}: `{email}`, `{word}`" for role, (email, word) in DEMO_ACCOUNTS.items()]
    return "\n".join(["\nThis server has demo data. Accounts and passwords to try:\n", *lines, ""])


class DemoRefused(Exception):
    """Demo accounts have public passwords, so they are refused in production."""


async def seed(pool: Pool, settings: Settings, now: datetime, report: Report = unheard) -> None:
    """Insert missing demo data; takes two queries if nothing is missing.

    It may run in several processes at once. Changes and additions by hand stay. `report` gets a
    text for a waiting person if there is something to do.
    """
    if settings.production:
        raise DemoRefused("demo data is refused in production")
    demo = DemoRepository(pool)
    emails = [email for email, _ in DEMO_ACCOUNTS.values()]
    known_emails = await demo.known_emails(emails)
    planned = programme(now)
    known_showtimes = await demo.known_showtimes([showtime.id for showtime in planned])
    missing = [showtime for showtime in planned if showtime.id not in known_showtimes]
    if not missing and len(known_emails) == len(emails):
        return
    if known_emails:
        report(f"adding {len(missing)} showtimes to the demo data")
    else:
        report(f"adding the demo data: accounts, films, cinemas and {len(missing)} showtimes")
    catalog = DemoCatalog(
        movies=movies(), cinemas=[house.cinema for house in HOUSES], screens=screens()
    )
    users = await _users(known_emails, settings.bcrypt_cost, now)
    await demo.insert_missing(catalog, users, missing, now)


async def _users(known: set[str], bcrypt_cost: int, now: datetime) -> list[DemoUser]:
    roles = [role for role, (email, _) in DEMO_ACCOUNTS.items() if email not in known]
    if not roles:
        return []
    hasher = PasswordHasher(bcrypt_cost)
    try:
        hashes = await asyncio.gather(
            *(hasher.hash(DEMO_ACCOUNTS[role][1], OURSELVES) for role in roles)
        )
    finally:
        hasher.close()
    return [
        DemoUser(
            user=NewUser(
                id=str(demo_id("user", role)),
                email=DEMO_ACCOUNTS[role][0],
                email_key=DEMO_ACCOUNTS[role][0],
                password_hash=password_hash,
                first_name=role.capitalize(),
                last_name="Demo",
                created_at=now,
            ),
            role=role,
            cinema_ids=(AURORA.cinema.id,) if role in {STAFF, MANAGER} else (),
        )
        for role, password_hash in zip(roles, hashes, strict=True)
    ]
