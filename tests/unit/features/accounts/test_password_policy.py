import pytest
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from cinema.domain.rejections import Refused
from cinema.features.accounts.password_policy import COMMONEST_REFUSED, check_password

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
