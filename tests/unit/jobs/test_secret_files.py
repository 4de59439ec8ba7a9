"""A secret whose file changes counts anew; one that is no good changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from cinema.jobs.secret_files import SecretFile, SecretFiles


class Disk:
    """The file, as somebody else writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, content: bytes) -> None:
        """Give the file another content."""
        self.path.write_bytes(content)

    def remove(self) -> None:
        """Take the file away."""
        self.path.unlink()


class Taker:
    """What was taken; refuses what begins with "bad"."""

    def __init__(self, file: Path) -> None:
        self.taken: list[str] = []
        self.files = SecretFiles([SecretFile("JWT_SECRET_KEY", file, "first", self._take)])

    def _take(self, text: str) -> None:
        if text.startswith("bad"):
            raise ValueError("holds no key")
        self.taken.append(text)

    async def look(self) -> list[tuple[str, str]]:
        """One look, and the lines it wrote."""
        with structlog.testing.capture_logs() as lines:
            await self.files.look()
        return [(line["event"], line.get("reason", "")) for line in lines]


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    disk = Disk(tmp_path / "key")
    disk.write(b"first\n")
    return disk


@pytest.fixture
def taker(disk: Disk) -> Taker:
    return Taker(disk.path)


async def test_a_file_that_stays_is_not_taken_again(taker: Taker) -> None:
    assert await taker.look() == []
    assert taker.taken == []


async def test_a_file_that_changes_counts_once(taker: Taker, disk: Disk) -> None:
    disk.write(b"second\n")
    assert await taker.look() == [("secret_reloaded", "")]
    assert await taker.look() == []
    assert taker.taken == ["second"]


async def test_a_file_that_is_no_good_is_said_once_and_changes_nothing(
    taker: Taker, disk: Disk
) -> None:
    disk.write(b"bad one\n")
    assert await taker.look() == [("secret_refused", "holds no key")]
    assert await taker.look() == []
    disk.write(b"second\n")
    assert await taker.look() == [("secret_reloaded", "")]
    assert taker.taken == ["second"]


async def test_a_file_that_is_gone_is_said_once_and_changes_nothing(
    taker: Taker, disk: Disk
) -> None:
    disk.remove()
    ((event, reason),) = await taker.look()
    assert event == "secret_refused"
    assert "No such file" in reason
    assert await taker.look() == []
    disk.write(b"\xff\xfe")
    ((event, reason),) = await taker.look()
    assert (event, "decode" in reason) == ("secret_refused", True)
    disk.write(b"second")
    assert await taker.look() == [("secret_reloaded", "")]


async def test_a_file_that_comes_back_unchanged_counts_again(taker: Taker, disk: Disk) -> None:
    disk.remove()
    await taker.look()
    disk.write(b"first")
    assert await taker.look() == [("secret_reloaded", "")]
    assert taker.taken == ["first"]
