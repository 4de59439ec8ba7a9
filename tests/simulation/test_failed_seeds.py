"""A seed that fails is printed with its own verdict, whatever its replay says."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.simulation import __main__ as command
from tests.simulation.run import Verdict

pytestmark = pytest.mark.no_cover

FIRST = ((5, "two have seat A1"),)


def _verdict(
    digest: str, violations: tuple[tuple[int, str], ...] = (), lines: Iterable[str] = ()
) -> Verdict:
    return Verdict(
        seed=7,
        digest=digest,
        chaos_digest="",
        violations=violations,
        attempts=1,
        events=1,
        steps=1,
        took_s=0.0,
        lines=tuple((number, line) for number, line in enumerate(lines)),
    )


def _printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], replay: Verdict
) -> str:
    """What the command says if seed 7 fails, and is replayed like this."""
    runs = iter([_verdict("d1", FIRST), replay])
    monkeypatch.setattr(command, "simulate", lambda _seed, **_options: next(runs))
    assert command.main(["--start", "7", "--seeds", "1"]) == 1
    assert next(runs, None) is None
    return capsys.readouterr().out


def test_a_failed_seed_is_shown_with_the_lines_before(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = _printed(monkeypatch, capsys, _verdict("d1", FIRST, ["n1 starts", "n1 serves"]))
    assert "n1 starts" in printed
    assert printed.count("two have seat A1") == 1
    assert "same way" not in printed
    assert "seed 7: hash d1" in printed


def test_its_own_verdict_is_printed_even_if_the_replay_violates_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = _printed(monkeypatch, capsys, _verdict("d2"))
    assert "two have seat A1" in printed
    assert "does not go the same way twice: hash d1, replayed d2" in printed
    assert "nothing was violated when it was replayed" in printed


def test_its_own_verdict_comes_before_that_of_another_replay(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = _verdict("d2", ((1, "an epoch goes back"),), ["n1 starts", "n1 serves"])
    printed = _printed(monkeypatch, capsys, other)
    own, same, replayed = (
        printed.index(words)
        for words in ("two have seat A1", "does not go the same way twice", "an epoch goes back")
    )
    assert own < same < replayed
    assert "n1 starts" in printed
