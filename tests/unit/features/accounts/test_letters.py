"""Every letter of accounts is a kind of message that there is, and the other way round."""

from __future__ import annotations

from cinema.features.accounts import letters
from cinema.features.messages.rules import KINDS, TELEPHONE_SET


def test_letters_of_accounts_are_the_kinds_of_their_messages() -> None:
    posted = {one for name, one in vars(letters).items() if name.isupper()}
    # A telephone is set with the choices of messages.
    assert {*posted, TELEPHONE_SET} == {kind for kind in KINDS if kind.startswith("account_")}
