"""What leaves something in its session goes past a pooler, which may pass the next use another."""

from __future__ import annotations

import re
from pathlib import Path

import cinema

ROOT = Path(cinema.__file__).parent
WHOLE_SESSION = re.compile(r"(?<!def )\bwhole_session\((?P<pool>[^)]*)\)")
KEPT_IN_SESSION = re.compile(
    r"pg_(?:try_)?advisory_lock(?:_shared)?\(|execute\(\s*f?\"(?:set (?!local)|listen |declare )"
)

WITH_SESSIONS = {
    "storage/journal/months.py",
    "features/recommendations/store.py",
    "features/recommendations/trial_store.py",
}
"""They take connections of `NodeParts.sessions`."""


def _code() -> list[tuple[str, str]]:
    return [(str(path.relative_to(ROOT)), path.read_text()) for path in ROOT.rglob("*.py")]


def test_work_for_a_whole_session_takes_a_connection_that_keeps_it() -> None:
    found = {(path, use["pool"]) for path, text in _code() for use in WHOLE_SESSION.finditer(text)}
    assert found == {(path, "self._sessions") for path in WITH_SESSIONS}


def test_nothing_else_leaves_locks_or_settings_in_a_session() -> None:
    features = {
        path
        for path, text in _code()
        if path.startswith(("features/", "jobs/", "storage/")) and KEPT_IN_SESSION.search(text)
    }
    assert features == WITH_SESSIONS
