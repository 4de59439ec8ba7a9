import pytest

from cinema.domain.accounts import email_key


@pytest.mark.parametrize(
    ("email", "key"),
    [
        ("Ann@Example.COM", "ann@example.com"),
        ("  ann@example.com ", "ann@example.com"),
        ("ann.b+films@sub.example.co", "ann.b+films@sub.example.co"),
        (f"{'a' * 64}@example.com", f"{'a' * 64}@example.com"),
    ],
)
def test_addresses_are_one_without_case_and_outer_space(email: str, key: str) -> None:
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
        "\u212aate@example.com",  # the Kelvin sign, whose lower case is k
        "änn@example.com",
        f"{'a' * 65}@example.com",
        f"ann@{'a.' * 130}com",
    ],
)
def test_what_is_no_address_is_refused(email: str) -> None:
    assert email_key(email) is None
