import pytest

from cinema.domain.addresses import address_key


@pytest.mark.parametrize(
    ("spelling", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::FFFF:c000:0207", "192.0.2.7"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:0DB8:0001:0002:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:3:4:5:6%eth0", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::1", "::/64"),
        ("unix:", ""),
        ("192.0.2.07", ""),
        ("", ""),
    ],
)
def test_a_client_is_one_however_its_address_is_spelled(spelling: str, key: str) -> None:
    assert address_key(spelling) == key
