import pytest

from cinema.features.accounts.shapes import account_key, email_key, tidy_email


@pytest.mark.parametrize(
    ("email", "key"),
    [
        ("Ann@Example.COM", "ann@example.com"),
        ("  ann@example.com ", "ann@example.com"),
        ("ann.b+films@sub.example.co", "ann.b+films@sub.example.co"),
        (f"{'a' * 64}@example.com", f"{'a' * 64}@example.com"),
        ("\uff41\uff4e\uff4e\uff20example.com", "ann@example.com"),  # as East Asian keyboards write
        ("\u212aate@example.com", "kate@example.com"),  # the Kelvin sign is a K
        ("ann@M\u00dcNCHEN.example", "ann@xn--mnchen-3ya.example"),
        ("ann@mu\u0308nchen.example", "ann@xn--mnchen-3ya.example"),
        ("ann@xn--mnchen-3ya.example", "ann@xn--mnchen-3ya.example"),
    ],
)
def test_spellings_of_one_address_are_one(email: str, key: str) -> None:
    assert email_key(email) == key


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ann",
        "@example.com",
        "ann@",
        "ann@localhost",
        "ann@@example.com",
        "ann@exa mple.com",
        "an n@example.com",
        ".ann@example.com",
        "ann.@example.com",
        "a..n@example.com",
        "ann@-example.com",
        "ann@example-.com",
        "ann@example..com",
        "ann@example.com\nbcc:x@y.z",
        "ann\x00@example.com",
        "ann@stra\u00dfe.example",  # would be taken for strasse.example
        "ann@\u2028.example",
        "ann@" + "\u00fc" * 70 + ".example",
        "änn@example.com",
        "=?utf-8?q?ann?=@example.com",  # encoded text in a header of a mail
        "=?x?q?eve=40evil.example=3e?=ann@example.com",
        f"{'a' * 65}@example.com",
        f"ann@{'a.' * 130}com",
    ],
)
def test_what_is_no_address_is_refused(email: str) -> None:
    assert email_key(email) is None


def test_attempts_are_counted_by_the_same_form_and_what_is_no_address_by_its_own() -> None:
    assert account_key(" Ann@Example.COM") == "ann@example.com"
    assert account_key(" ANN ") == account_key("ann") == "ann"


def test_kept_address_has_the_characters_of_its_key_in_their_own_case() -> None:
    assert tidy_email(" \u212aate\uff20Example.com ") == "Kate@Example.com"
