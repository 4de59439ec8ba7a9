"""What is stored encrypted opens with its key, in its place, unchanged, and nowhere else."""

from __future__ import annotations

import pytest

from cinema.storage.encryption import CannotOpen, Cipher

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
PLACE = b"users.totp_secret:7"


def test_what_was_sealed_opens_again() -> None:
    cipher = Cipher([NEW])
    for plain in (b"", b"JBSWY3DPEHPK3PXP", bytes(100_000)):
        sealed = cipher.seal(plain, place=PLACE)
        assert plain == b"" or plain not in sealed
        assert cipher.open(sealed, place=PLACE) == plain


def test_the_same_value_is_never_sealed_alike() -> None:
    cipher = Cipher([NEW])
    assert cipher.seal(b"a", place=PLACE) != cipher.seal(b"a", place=PLACE)


def test_an_older_key_opens_what_it_sealed_and_seals_nothing_more() -> None:
    before = Cipher([OLD]).seal(b"secret", place=PLACE)
    after = Cipher([NEW, OLD])
    assert after.open(before, place=PLACE) == b"secret"
    assert not after.is_current(before)
    again = after.seal(b"secret", place=PLACE)
    assert after.is_current(again)
    assert Cipher([NEW]).open(again, place=PLACE) == b"secret"


def test_a_value_whose_key_is_gone_does_not_open() -> None:
    sealed = Cipher([OLD]).seal(b"secret", place=PLACE)
    with pytest.raises(CannotOpen, match="not among ENCRYPTION_KEYS"):
        Cipher([NEW]).open(sealed, place=PLACE)


def test_a_value_copied_to_another_place_does_not_open() -> None:
    cipher = Cipher([NEW])
    sealed = cipher.seal(b"secret", place=PLACE)
    with pytest.raises(CannotOpen, match="another place"):
        cipher.open(sealed, place=b"users.totp_secret:8")


def test_a_value_changed_in_any_byte_does_not_open() -> None:
    cipher = Cipher([NEW, OLD])
    sealed = cipher.seal(b"secret", place=PLACE)
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1
        with pytest.raises(CannotOpen):
            cipher.open(bytes(changed), place=PLACE)


def test_a_value_cut_anywhere_does_not_open() -> None:
    cipher = Cipher([NEW])
    sealed = cipher.seal(b"secret", place=PLACE)
    for length in range(len(sealed)):
        with pytest.raises(CannotOpen):
            cipher.open(sealed[:length], place=PLACE)


@pytest.mark.parametrize("keys", [[], [bytes(31)], [NEW, bytes(16)]])
def test_keys_that_are_none_are_refused(keys: list[bytes]) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Cipher(keys)
