from __future__ import annotations

import pytest

from tests.support.programs import REQUIRED, program


def test_a_program_of_the_machine_is_found() -> None:
    assert program("sh", package="dash").endswith("/sh")


def test_a_missing_program_skips_the_test_and_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(REQUIRED, raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt install no-such-package"):
        program("no-such-program", package="no-such-package")


def test_a_missing_program_fails_the_test_where_it_is_required(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(REQUIRED, "1")
    with pytest.raises(pytest.fail.Exception, match="no-such-program is not installed"):
        program("no-such-program", package="no-such-package")
