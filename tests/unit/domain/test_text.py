import pytest

from cinema.domain.text import fold, hidden_character


@pytest.mark.parametrize(
    ("one", "other"),
    [("Amélie", "AMELIE"), ("Straße", "strasse"), ("  The   Matrix ", "the matrix"), ("Ａ", "a")],
)
def test_case_accents_and_space_do_not_matter(one: str, other: str) -> None:
    assert fold(one) == fold(other)


def test_other_letters_do_matter() -> None:
    assert fold("Parasite") != fold("Parasites")


@pytest.mark.parametrize(
    ("typed", "title"),
    [
        ("lodz", "Łódź"),
        ("aero", "Ærø"),
        ("l'ete", "L’été"),
        ("lodz aero l'ete", "Łódź Ærø L’été"),
        ("oeuvre", "Œuvre"),
        ("fi", "ﬁ"),
        ("strasse", "STRAẞE"),
        ("djokovic", "Đoković".replace("Đ", "Dj")),
        ("dokovic", "Đoković"),
        ("thor", "Þór"),
        ("istanbul", "İstanbul"),
        ("diyarbakir", "Dıyarbakır"),
        ("cesky", "Český"),
        ("zurich", "Zu\u0308rich"),
        ('"x"', "„x“"),
        ("a-b", "a–b"),
        ("...", "…"),
        ("h", "\u210c"),
        ("soft", "so\u00adft"),
        ("zerowidth", "zero\u200bwidth"),
        ("two words", "two\u00a0\n words"),
    ],
)
def test_what_is_typed_without_accents_finds_the_title(typed: str, title: str) -> None:
    assert fold(typed) in fold(title)
    assert fold(fold(title)) == fold(title)


HIDDEN = [
    "\x00",
    "\x1b",
    "\x85",
    "\u00ad",
    "\u200b",
    "\u200d",
    "\u200e",
    "\u202e",
    "\u2066",
    "\u2028",
    "\u2060",
    "\u3164",
    "\ufeff",
    "\U000e0041",
]


@pytest.mark.parametrize("char", [*HIDDEN, "\n", "\t"], ids=ascii)
def test_what_cannot_be_seen_is_found_in_a_name(char: str) -> None:
    assert hidden_character(f"a{char}b") == char


@pytest.mark.parametrize(
    "name", ["Łódź Ærø L’été", "ひらがな", "שלום", "नमस्ते", "❤️", "葛\U000e0100", "a\u00a0b", "é" * 9]
)
def test_names_of_all_scripts_hide_nothing(name: str) -> None:
    assert hidden_character(name) is None


def test_paragraphs_have_lines_and_joiners_but_turn_no_text_around() -> None:
    assert hidden_character("One.\r\n\tTwo\u200d.", has_lines=True) is None
    assert hidden_character("One \u202eowt", has_lines=True) == "\u202e"
    assert hidden_character("One\x00", has_lines=True) == "\x00"
