"""Whom Postgres runs as, and with how little."""

from __future__ import annotations

import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cinema.local import unprivileged
from cinema.local.unprivileged import CannotDropPrivileges, PostgresUser, postgres_identity

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has privileges to drop")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder every user can reach, with an installation in it."""
    with tempfile.TemporaryDirectory(prefix="cinema-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "home" / "bin").mkdir(parents=True)
        program = folder / "home" / "bin" / "postgres"
        program.touch()
        program.chmod(0o755)
        yield folder


def identity(place: Path) -> PostgresUser:
    return postgres_identity(place / "home" / "bin", place / "home" / "data")


def capabilities(found: PostgresUser) -> str:
    (ambient,) = [part for part in found.prefix if part.startswith("--ambient-caps=")]
    return ambient.removeprefix("--ambient-caps=")


@as_root
def test_where_all_may_read_no_capability_is_kept(place: Path) -> None:
    found = identity(place)
    assert found.uid == pwd.getpwnam("nobody").pw_uid
    assert capabilities(found) == "-all"


@as_root
def test_below_a_private_folder_only_reading_is_kept(place: Path) -> None:
    (place / "home").chmod(0o700)
    assert capabilities(identity(place)) == "-all,+dac_read_search"


@as_root
def test_where_that_is_not_to_be_had_the_greater_one_is(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "home").chmod(0o700)
    monkeypatch.setattr(unprivileged, "bounding_set", lambda: 1 << unprivileged.DAC_OVERRIDE)
    assert capabilities(identity(place)) == "-all,+dac_override"


@as_root
def test_a_program_only_root_may_run_takes_the_greater_one(place: Path) -> None:
    (place / "home" / "bin" / "postgres").chmod(0o700)
    assert capabilities(identity(place)) == "-all,+dac_override"


@as_root
def test_without_either_root_is_told_what_to_do(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "home").chmod(0o700)
    monkeypatch.setattr(unprivileged, "bounding_set", lambda: 0)
    with pytest.raises(CannotDropPrivileges, match="set DATABASE_URL"):
        identity(place)


@as_root
def test_root_runs_as_the_owner_of_existing_data(place: Path) -> None:
    data = place / "home" / "data"
    data.mkdir()
    os.chown(data, 12_345, 12_346)
    found = identity(place)
    assert (found.uid, found.gid) == (12_345, 12_346)


@as_root
def test_without_setpriv_root_is_told_what_to_install(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(place))
    with pytest.raises(CannotDropPrivileges, match="util-linux"):
        identity(place)


def test_an_ordinary_user_runs_it_directly(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "home" / "data").mkdir()
    owner = (place / "home" / "data").stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner or 1000)
    if owner == 0:
        os.chown(place / "home" / "data", 1000, 1000)
    assert identity(place).prefix == ()


def test_data_of_another_user_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "home" / "data").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: 54_321)
    with pytest.raises(CannotDropPrivileges, match="belongs to user"):
        identity(place)
