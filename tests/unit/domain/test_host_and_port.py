"""Host and port as one text."""

from __future__ import annotations

import pytest

from cinema.domain.host_and_port import address_of


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("node-1", "node-1:80"),
        ("10.0.0.7", "10.0.0.7:80"),
        ("::1", "[::1]:80"),
        ("[2001:db8::7]", "[2001:db8::7]:80"),
    ],
)
def test_host_of_ipv6_stands_in_brackets(host: str, address: str) -> None:
    assert address_of(host, 80) == address
