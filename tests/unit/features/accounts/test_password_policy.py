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


@pytest.mark.parametrize("password", [EMAIL, "ann.smith@example.com", " ANN.SMITH@EXAMPLE.COM "])
def test_the_email_address_is_refused(password: str) -> None:
    assert refusal(password) == {"path": "$.password"}


@pytest.mark.parametrize("password", ["correct horse", "demo-customer", "a stage for benchmarks"])
def test_others_pass(password: str) -> None:
    check_password(password, EMAIL)


def test_ten_thousand_are_refused_and_not_more() -> None:
    ranked = FREQUENCY_LISTS["passwords"]
    assert refusal(ranked[COMMONEST_REFUSED - 1])
    check_password(ranked[COMMONEST_REFUSED], EMAIL)


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
