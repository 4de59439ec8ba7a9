"""Adds demo data at the first start, and missing showtimes at each later one."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import datetime
from typing import Final

from cinema.demo.catalog import AURORA, FILMS, HOUSES, demo_id, movies, screens
from cinema.demo.posters import posters
from cinema.demo.prices import SETTINGS, rules
from cinema.demo.programme import programme
from cinema.demo.store import DemoCatalog, DemoRepository, DemoUser
from cinema.domain.principal import (
    ADMIN,
    CUSTOMER,
    MANAGER,
    STAFF,
)
from cinema.domain.progress import Report, unheard
from cinema.domain.rejections import Refused
from cinema.features.accounts.passwords import OURSELVES, PasswordHasher
from cinema.features.accounts.store import NewUser
from cinema.features.catalog.poster_service import MEDIA_TYPE, POSTER_WIDTH, picture_name
from cinema.features.catalog.poster_store import PostersRepository
from cinema.integrations.images import WIDTHS
from cinema.integrations.objects import ObjectStore, ObjectsUnavailable
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


async def seed(
    pool: Pool,
    settings: Settings,
    now: datetime,
    report: Report = unheard,
    *,
    objects: ObjectStore | None = None,
) -> None:
    """Insert missing demo data; takes three queries if nothing is missing.

    It may run in several processes at once. Changes and additions by hand stay. `report` gets a
    text for a waiting person if there is something to do. Posters go to `objects`; without it the
    films have none before `add_posters`.
    """
    if settings.production:
        raise DemoRefused("demo data is refused in production")
    demo = DemoRepository(pool)
    emails = [email for email, _ in DEMO_ACCOUNTS.values()]
    known_emails = await demo.known_emails(emails)
    planned = programme(now)
    known_showtimes = await demo.known_showtimes([showtime.id for showtime in planned])
    missing = [showtime for showtime in planned if showtime.id not in known_showtimes]
    if missing or len(known_emails) < len(emails):
        if known_emails:
            report(f"adding {len(missing)} showtimes to the demo data")
        else:
            report(f"adding the demo data: accounts, films, cinemas and {len(missing)} showtimes")
        catalog = DemoCatalog(
            movies=movies(),
            cinemas=[(house.cinema, house.settings) for house in HOUSES],
            screens=screens(),
            prices=SETTINGS,
            rules=[(house.cinema.id, rule) for house in HOUSES for rule in rules(house)],
        )
        users = await _users(known_emails, settings.bcrypt_cost, now)
        await demo.insert_missing(catalog, users, missing, now)
    if objects is not None:
        await add_posters(pool, objects, now, report)


async def add_posters(
    pool: Pool, objects: ObjectStore, now: datetime, report: Report = unheard
) -> None:
    """Draw the posters that are missing; if they cannot be stored, a later start does it.

    It takes seconds of a processor, so a server does it while it serves already. Neither the store
    of objects nor the database need be there all the time.
    """
    try:
        await _draw_missing(pool, objects, now, report)
    except ObjectsUnavailable as error:
        report(f"no posters: {error}")
    except Refused as refused:
        report(f"no posters: {refused.rejection.code}")


async def _draw_missing(pool: Pool, objects: ObjectStore, now: datetime, report: Report) -> None:
    demo, kept = DemoRepository(pool), PostersRepository(pool)
    films = {demo_id("movie", film.title): film for film in FILMS}
    missing = await demo.without_poster(list(films))
    if missing:
        report(f"drawing {len(missing)} posters")
    for movie_id, film in films.items():
        if movie_id not in missing:
            continue
        # In a thread, so that the loop goes on.
        pictures = await asyncio.to_thread(posters, film)
        digest = hashlib.sha256(pictures[-1]).hexdigest()
        await kept.note(digest, now)
        for width, picture in zip(WIDTHS, pictures, strict=True):
            await objects.put(picture_name(digest, width), picture, MEDIA_TYPE)
        await demo.show_poster(movie_id, f"/media/{picture_name(digest, POSTER_WIDTH)}")


async def _users(known: set[str], bcrypt_cost: int, now: datetime) -> list[DemoUser]:
    roles = [role for role, (email, _) in DEMO_ACCOUNTS.items() if email not in known]
    if not roles:
        return []
    hasher = PasswordHasher(bcrypt_cost, wait_s=None)
    try:
        hashes = await asyncio.gather(
            *(hasher.hash(DEMO_ACCOUNTS[role][1], OURSELVES) for role in roles)
        )
    finally:
        hasher.close()
    return [
        DemoUser(
            user=NewUser(
                id=demo_id("user", role),
                email=DEMO_ACCOUNTS[role][0],
                email_key=DEMO_ACCOUNTS[role][0],
                password_hash=password_hash,
                first_name=role.capitalize(),
                last_name="Demo",
                created_at=now,
                email_verified=True,
            ),
            role=role,
            cinema_ids=(AURORA.cinema.id,) if role in {STAFF, MANAGER} else (),
        )
        for role, password_hash in zip(roles, hashes, strict=True)
    ]
