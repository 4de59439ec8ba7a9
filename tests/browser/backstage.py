"""What goes on behind the pages: mails, and what staff prepare, by the API."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from typing import Any
from uuid import uuid4

from playwright.sync_api import Page

from tests.browser.windows import PATIENCE_MS
from tests.support.server_process import ServerProcess

PASSWORDS = {
    role: (f"{role}@cinema.example", f"demo-{role}")
    for role in ("customer", "staff", "manager", "admin")
}
LOOK_EVERY_MS = 50
FILM = "The Godfather"


class Backstage:
    """Calls of the API as one of the demo's accounts, beside what the page does."""

    def __init__(self, page: Page, server: ServerProcess) -> None:
        self._page = page
        self._server = server
        self._tokens: dict[str, str] = {}

    def ask(
        self, role: str, method: str, path: str, body: object = None, *, seen: int | None = None
    ) -> Any:
        """The data of an answer that must succeed; `seen` is the version that is changed."""
        headers = {"Authorization": f"Bearer {self._token(role)}"}
        if seen is not None:
            headers["If-Match"] = f'"{seen}"'
        return self._data(method, path, body, headers)

    def account(self) -> tuple[str, str]:
        """E-mail address and password of a new customer."""
        email, password = f"{uuid4()}@example.com", "a long enough one"
        body = {"email": email, "password": password, "first_name": "Ada"}
        self._data("POST", "auth/register?transport=body", body, {})
        return email, password

    def ask_of(self, account: tuple[str, str], method: str, path: str, body: object = None) -> Any:
        """The same as an account with this address and password."""
        return self._data(
            method, path, body, {"Authorization": f"Bearer {self._signed_in(account)}"}
        )

    def showtime(self, columns: int, *, starts_in: timedelta = timedelta(hours=5)) -> str:
        """A showtime in a new screen of one row, for 10.00; its id."""
        films = self.ask("admin", "GET", f"movies?q={FILM}")
        cinema = next(c for c in self.ask("admin", "GET", "cinemas") if c["name"] == "Kino Aurora")
        grid = {"rows": 1, "columns": columns}
        wish = {"cinema_id": cinema["id"], "name": f"Studio {uuid4().hex[:8]}", "grid": grid}
        screen = self.ask("admin", "POST", "screens", wish)
        body = {
            "movie_id": films[0]["id"],
            "screen_id": screen["id"],
            "starts_at": (datetime.now(UTC) + starts_in).isoformat(),
            "base_price": {"amount": 1000, "currency": cinema["currency"]},
            "language": "en",
        }
        return str(self.ask("admin", "POST", "showtimes", body)["id"])

    def hold(self, role: str, showtime_id: str, *seats: str) -> str:
        """The id of a hold."""
        path = f"showtimes/{showtime_id}/holds"
        return str(self.ask(role, "POST", path, {"seats": seats})["hold_id"])

    def book(self, role: str, showtime_id: str, *seats: str) -> dict[str, Any]:
        """A booking that is paid."""
        body = {"showtime_id": showtime_id, "hold_id": self.hold(role, showtime_id, *seats)}
        booking: dict[str, Any] = self.ask(
            role, "POST", "bookings", {**body, "payment": {"method": "demo"}}
        )
        return booking

    def link_to(self, email: str, part: str) -> str:
        """The address in the first mail to somebody that has a link with this part."""
        found: list[str] = []

        def look() -> bool:
            for path in sorted(self._server.folder.glob("mailbox/*.eml")):
                mail = message_from_bytes(path.read_bytes(), policy=policy.default)
                text = mail.get_body(("plain",))
                if text is not None and mail["To"].addresses[0].addr_spec == email:
                    words = text.get_content().split()
                    found.extend(word for word in words if part in word and "#token=" in word)
            return bool(found)

        self.until(look)
        return found[0]

    def until(self, there: Callable[[], bool]) -> None:
        """Wait for what happens beside the page."""
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while not there():
            assert time.monotonic() < deadline, "it did not come about"
            self._page.wait_for_timeout(LOOK_EVERY_MS)

    def _token(self, role: str) -> str:
        if role not in self._tokens:
            self._tokens[role] = self._signed_in(PASSWORDS[role])
        return self._tokens[role]

    def _signed_in(self, account: tuple[str, str]) -> str:
        email, password = account
        body = {"email": email, "password": password}
        return str(self._data("POST", "auth/login?transport=body", body, {})["access_token"])

    def _data(self, method: str, path: str, body: object, headers: dict[str, str]) -> Any:
        reply = self._page.request.fetch(
            f"{self._server.url}/api/v1/{path}", method=method, data=body, headers=headers
        )
        assert reply.ok, reply.text()
        return reply.json()["data"]
