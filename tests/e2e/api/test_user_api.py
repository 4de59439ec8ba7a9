"""Administration of accounts over HTTP."""

from __future__ import annotations

import uuid

import pytest

from tests.e2e.api.house import UNKNOWN_ID, House

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_admin_finds_an_account_disables_it_and_the_log_tells(house: House) -> None:
    email = f"{uuid.uuid4()}@example.com"
    made = await house.ask(
        None, "POST", "auth/register", {"email": email, "password": "correct horse"}
    )
    user_id = made.data["user"]["id"]
    found = await house.ask("admin", "GET", f"admin/users?q={email.upper()}")
    assert [one["id"] for one in found.data] == [user_id]
    assert found.envelope["meta"] == {"next_cursor": None}
    path = f"admin/users/{user_id}"
    changed = await house.ask("admin", "PATCH", path, {"disabled": True})
    assert changed.data["disabled"] is True
    assert (await house.ask("admin", "GET", path)).data == changed.data
    bearer = {"Authorization": f"Bearer {made.data['access_token']}"}
    assert (await house.ask(None, "GET", "auth/me", headers=bearer)).status == 401
    log = await house.ask("admin", "GET", f"admin/audit?target={user_id}&from=2026-01-01T00:00:00Z")
    (row,) = log.data
    assert (row["action"], row["actor_id"]) == ("user_change", house.people["admin"])
    assert (row["before"]["disabled"], row["after"]["disabled"]) == (False, True)
    assert row["request_id"] == changed.headers["X-Request-ID"]


async def test_of_two_admins_who_change_one_account_the_second_learns_of_the_first(
    house: House,
) -> None:
    path = f"admin/users/{house.people['staff']}"
    seen = (await house.ask("admin", "GET", path)).data
    cinema_ids, header = seen["cinema_ids"], {"If-Match": f'"{seen["version"]}"'}
    first = await house.ask("admin", "PATCH", path, {"cinema_ids": []}, headers=header)
    assert (first.status, first.data["version"]) == (200, seen["version"] + 1)
    for method, body, to in (
        ("PATCH", {"cinema_ids": cinema_ids}, path),
        ("PATCH", {"disabled": True}, path),
        ("POST", {"role": "staff", "cinema_ids": cinema_ids}, f"{path}/promote"),
    ):
        second = await house.ask("admin", method, to, body, headers=header)
        assert second.error == (412, "PRECONDITION_FAILED")
    assert (await house.ask("admin", "GET", path)).data == first.data
    # Without the header the change is for whatever there is, as before.
    back = await house.ask("admin", "PATCH", path, {"cinema_ids": cinema_ids})
    assert back.data["cinema_ids"] == cinema_ids


async def test_a_change_of_nothing_leaves_an_account_as_it_is(house: House) -> None:
    path = f"admin/users/{house.people['staff']}"
    seen = (await house.ask("admin", "GET", path)).data
    same = await house.ask("admin", "PATCH", path, {})
    assert (same.status, same.data) == (200, seen)


async def test_account_that_is_unknown_is_not_found(house: House) -> None:
    for method, body in (("GET", None), ("PATCH", {"disabled": True})):
        answer = await house.ask("admin", method, f"admin/users/{UNKNOWN_ID}", body)
        assert answer.error == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("users?role=king", "$.role"),
        ("users?cinema_id=x", "$.cinema_id"),
        ("users?q=", "$.q"),
        ("audit?from=yesterday", "$.from"),
        ("audit?from=12", "$.from"),
        ("audit?to=2026-13-01T00:00:00Z", "$.to"),
        ("audit?from=2026-01-01T00:00:00", "$.from"),
        ("audit?actor=me", "$.actor"),
    ],
)
async def test_wrong_filters_are_refused(house: House, query: str, path: str) -> None:
    answer = await house.ask("admin", "GET", f"admin/{query}")
    assert answer.error == (400, "VALIDATION_ERROR")
    assert answer.details == {"path": path}


async def test_wrong_invitations_are_refused(house: House) -> None:
    for body in (
        {"email": "x@example.com", "role": "customer"},
        {"email": "x@example.com", "role": "staff", "cinema_ids": ["x"]},
        {"email": "x", "role": "staff"},
    ):
        answer = await house.ask("admin", "POST", "admin/invitations", body)
        assert answer.error == (400, "VALIDATION_ERROR")
