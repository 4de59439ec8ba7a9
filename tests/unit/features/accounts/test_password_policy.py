import msgspec
import pytest
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from cinema.domain.rejections import Refused
from cinema.features.accounts.password_policy import COMMONEST_REFUSED, check_password
from cinema.features.accounts.shapes import (
    AcceptInput,
    ChangePasswordInput,
    RegisterInput,
    ResetInput,
)

EMAIL = "Ann.Smith@Example.com"


def refusal(password: str) -> object:
    with pytest.raises(Refused) as caught:
        check_password(password, EMAIL)
    assert caught.value.rejection.code == "VALIDATION_ERROR"
    return caught.value.rejection.details


@pytest.mark.parametrize("password", ["password", "PassWord", "12345678", "iloveyou", "ｐassword"])
def test_common_passwords_are_refused_however_they_are_written(password: str) -> None:
    assert refusal(password) == {"path": "$.password"}


@pytest.mark.parametrize(
    "password",
    [
        *(" " * 8, "\t" * 8, "a      b", "\u200b" * 8, "\0" * 8, "seven77\u200b", "\ufeffseven77"),
        *("e\u0301" * 4, "\ud800" * 8, "\U000e0041" * 8),
    ],
)
def test_what_nobody_sees_does_not_make_a_password_longer(password: str) -> None:
    assert len(password) >= 8
    assert refusal(password) == {"path": "$.password"}


@pytest.mark.parametrize("password", ["pass\u200bword", "password\u2060", "\u202epassword"])
def test_what_nobody_sees_does_not_hide_a_common_password(password: str) -> None:
    assert refusal(password) == {"path": "$.password"}


@pytest.mark.parametrize("password", [EMAIL, "ann.smith@example.com", " ANN.SMITH@EXAMPLE.COM "])
def test_the_email_address_is_refused(password: str) -> None:
    assert refusal(password) == {"path": "$.password"}


@pytest.mark.parametrize(
    "password",
    [
        "correct horse",
        "demo-customer",
        "a stage for benchmarks",
        "a b c d e",
        "क्षत्रियाणाम्",
        "😀" * 8,
    ],
)
def test_others_pass(password: str) -> None:
    check_password(password, EMAIL)


def test_ten_thousand_are_refused_and_not_more() -> None:
    ranked = FREQUENCY_LISTS["passwords"]
    assert refusal(ranked[COMMONEST_REFUSED - 1])
    check_password(next(one for one in ranked[COMMONEST_REFUSED:] if len(one) >= 8), EMAIL)


@pytest.mark.parametrize(("length", "is_good"), [(7, False), (8, True), (128, True), (129, False)])
def test_each_bound_of_a_password_is_kept(length: int, is_good: bool) -> None:
    for shape, name in (
        (RegisterInput, "password"),
        (AcceptInput, "password"),
        (ResetInput, "new_password"),
        (ChangePasswordInput, "new_password"),
    ):
        fields = {"email": "a@b.de", "token": "x", "current_password": "x", name: "ä" * length}
        given = {one: fields[one] for one in shape.__struct_fields__ if one in fields}
        if is_good:
            assert getattr(msgspec.convert(given, shape), name) == fields[name]
        else:
            with pytest.raises(msgspec.ValidationError, match=name):
                msgspec.convert(given, shape)
