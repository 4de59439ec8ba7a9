"""Whose word counts about the client."""

from __future__ import annotations

import ssl

import pytest
from aiohttp.test_utils import make_mocked_request
from aiohttp.web import BaseRequest

from cinema.http.connections.proxies import TrustedProxies
from tests.support import inspection

TRUSTED = TrustedProxies(["10.0.0.0/8", "2001:db8::1"])


def asked(remote: str, **headers: str) -> BaseRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return make_mocked_request("GET", "/", headers=named).clone(remote=remote)


@pytest.mark.parametrize(
    ("remote", "forwarded", "client"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", "198.51.100.9", "192.0.2.1"),
        ("10.0.0.1", "198.51.100.9", "198.51.100.9"),
        ("10.0.0.1", "203.0.113.5, 198.51.100.9, 10.9.9.9", "198.51.100.9"),
        ("10.0.0.1", "10.1.1.1, 10.2.2.2", "10.1.1.1"),
        ("10.0.0.1", "198.51.100.9, forged", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("2001:db8::1", "2001:db8::2", "2001:db8::2"),
        ("10.0.0.1", "fe80::7%" + "z" * 4000, "fe80::7"),
    ],
)
def test_client_is_the_nearest_address_nobody_vouches_for(
    remote: str, forwarded: str | None, client: str
) -> None:
    headers = {} if forwarded is None else {"x_forwarded_for": forwarded}
    assert TRUSTED.client_address(asked(remote, **headers)) == client


@pytest.mark.parametrize("network", ["::ffff:10.0.0.0/104", "::ffff:a00:0/104"])
@pytest.mark.parametrize("remote", ["10.0.0.1", "::ffff:10.0.0.1"])
def test_networks_that_are_written_as_ipv6_are_those_of_ipv4(network: str, remote: str) -> None:
    proxies = TrustedProxies([network])
    forwarded = asked(remote, x_forwarded_for="198.51.100.9", x_forwarded_proto="https")
    assert proxies.client_address(forwarded) == "198.51.100.9"
    assert proxies.is_https(forwarded)
    assert proxies.client_address(asked("11.0.0.1", x_forwarded_for="1.2.3.4")) == "11.0.0.1"


def test_hops_as_long_as_a_client_likes_are_not_remembered() -> None:
    proxies = TrustedProxies(["10.0.0.0/8"])
    for one in range(3):
        hops = f"{one}, " * 1000 + "198.51.100.9"
        assert proxies.client_key(asked("10.0.0.1", x_forwarded_for=hops)) == "198.51.100.9"
    assert inspection.addresses_remembered(proxies) == 0
    assert proxies.client_key(asked("10.0.0.1", x_forwarded_for="198.51.100.9")) == "198.51.100.9"
    assert inspection.addresses_remembered(proxies) == 1


def test_without_trusted_proxies_headers_are_ignored() -> None:
    request = asked("10.0.0.1", x_forwarded_for="198.51.100.9", x_forwarded_proto="https")
    assert TrustedProxies().client_address(request) == "10.0.0.1"
    assert not TrustedProxies().is_https(request)


@pytest.mark.parametrize(
    ("remote", "proto", "https"),
    [
        ("10.0.0.1", "https", True),
        ("10.0.0.1", "http", False),
        ("10.0.0.1", "http, HTTPS", True),
        ("10.0.0.1", "https, http", False),
        ("192.0.2.1", "https", False),
    ],
)
def test_scheme_is_believed_from_trusted_proxies_only(remote: str, proto: str, https: bool) -> None:
    assert TRUSTED.is_https(asked(remote, x_forwarded_proto=proto)) == https


def test_https_to_us_needs_nobodys_word() -> None:
    context = ssl.create_default_context()
    secure = make_mocked_request("GET", "/", sslcontext=context)
    assert TrustedProxies(()).is_https(secure)
    assert not TrustedProxies(()).is_https(asked("10.0.0.1", x_forwarded_proto="https"))
