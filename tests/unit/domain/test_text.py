import pytest

from cinema.domain.text import fold


@pytest.mark.parametrize(
    ("one", "other"),
    [("Amélie", "AMELIE"), ("Straße", "strasse"), ("  The   Matrix ", "the matrix"), ("Ａ", "a")],
)
def test_case_accents_and_space_do_not_matter(one: str, other: str) -> None:
    assert fold(one) == fold(other)


def test_other_letters_do_matter() -> None:
    assert fold("Parasite") != fold("Parasites")
