"""A cinema of a test's own, so that what is changed there is nobody else's."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from tests.browser.backstage import FILM, Backstage

ZONE = ZoneInfo("Europe/Berlin")
EVENING_HOUR = 18


class House:
    """One screen, and showtimes for 10.00."""

    def __init__(self, backstage: Backstage, *, rows: int = 3, columns: int = 4) -> None:
        self._backstage = backstage
        name = f"Kino {uuid4().hex[:8]}"
        cinema = backstage.ask(
            "admin",
            "POST",
            "cinemas",
            {
                "name": name,
                "city": "Bonn",
                "country": "DE",
                "time_zone": "Europe/Berlin",
                "currency": "EUR",
            },
        )
        self.label = f"{name}, Bonn"
        self.cinema_id: str = cinema["id"]
        self.screen = self._screen("Great hall", rows, columns)
        self.movie_id: str = backstage.ask("admin", "GET", f"movies?q={FILM}")[0]["id"]

    def day(self, ahead: int = 3) -> str:
        """A day of the cinema's calendar."""
        return (datetime.now(ZONE).date() + timedelta(days=ahead)).isoformat()

    def showtime(self, ahead: int = 3) -> dict[str, Any]:
        """A showtime in the evening of a day."""
        day = datetime.now(ZONE).date() + timedelta(days=ahead)
        start = datetime(day.year, day.month, day.day, EVENING_HOUR, tzinfo=ZONE)
        body = {
            "movie_id": self.movie_id,
            "screen_id": self.screen["id"],
            "starts_at": start.isoformat(),
            "base_price": {"amount": 1000, "currency": "EUR"},
            "language": "en",
        }
        made: dict[str, Any] = self._backstage.ask("admin", "POST", "showtimes", body)
        return made

    def layout(self) -> dict[str, Any]:
        """The seats of the screen as they are now, with their version."""
        layout: dict[str, Any] = self._backstage.ask(
            "admin", "GET", f"screens/{self.screen['id']}/layout"
        )
        return layout

    def another_screen(self, name: str) -> dict[str, Any]:
        return self._screen(name, 1, 4)

    def _screen(self, name: str, rows: int, columns: int) -> dict[str, Any]:
        grid = {"rows": rows, "columns": columns}
        body = {"cinema_id": self.cinema_id, "name": name, "grid": grid}
        screen: dict[str, Any] = self._backstage.ask("admin", "POST", "screens", body)
        return screen
