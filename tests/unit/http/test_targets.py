"""The forms of a request's target."""

from __future__ import annotations

import pytest

from cinema.http.targets import HOSTS_KEPT, Hosts, authority, is_whole_server, origin_form


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/x?y=1", "/x?y=1"),
        ("//x", "//x"),
        ("http://test/x?y=1", "/x?y=1"),
        ("HTTPS://TEST:99/x", "/x"),
        ("http://[::1]:8080/x", "/x"),
        ("http://test", "/"),
        ("http://test?y=1", "/?y=1"),
        ("http://test//x", "//x"),
        ("*", "*"),
        ("test:443", "test:443"),
        ("ftp://test/x", "ftp://test/x"),
        ("http://user@test/x", "http://user@test/x"),
        ("http:///x", "http:///x"),
    ],
)
def test_path_of_a_target(target: str, path: str) -> None:
    assert origin_form(target) == path


def test_host_of_the_target_goes_before_the_header() -> None:
    assert authority("/x", "header") == "header"
    assert authority("/x", None) is None
    assert authority("http://test:80/x", "header") == "test:80"


def test_options_may_ask_about_the_whole_server() -> None:
    assert is_whole_server("*")
    assert is_whole_server("http://test")
    assert not is_whole_server("/")
    assert not is_whole_server("http://test/x")


def test_no_flood_of_hosts_is_remembered() -> None:
    hosts = Hosts()
    assert hosts.is_valid(None)
    for number in range(3 * HOSTS_KEPT):
        assert hosts.is_valid(f"host-{number}")
        assert not hosts.is_valid(f"host {number}")
        assert len(hosts) <= HOSTS_KEPT + 1
    assert hosts.is_valid(None)
    assert not hosts.is_valid("")
