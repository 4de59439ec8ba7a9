"""The page of waiting rooms is light, and is the same wherever its three files are kept."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from cinema.features.waitingroom.page_files import page_files

BYTES_LIMIT = 20_000

FILES = {name: file.body.decode() for name, file in page_files().items()}


class Tags(HTMLParser):
    """All tags of a page with their attributes, and the text of those that may have code."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline = ""
        self._in_code = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in_code = tag in {"script", "style"}

    def handle_endtag(self, _tag: str) -> None:
        self._in_code = False

    def handle_data(self, data: str) -> None:
        if self._in_code:
            self.inline += data


PAGE = Tags(FILES["queue.html"])


def test_it_is_light() -> None:
    assert sum(len(file.body) for file in page_files().values()) <= BYTES_LIMIT


def test_it_asks_for_its_own_files_beside_it_and_for_nothing_else() -> None:
    """A content delivery network may keep it under any path."""
    asked = [
        attributes[name]
        for tag, attributes in PAGE.tags
        for name in ("href", "src")
        if tag != "a" and name in attributes
    ]
    assert sorted(filter(None, asked)) == ["queue.css", "queue.js"]
    assert not re.search(r"@import|url\(", FILES["queue.css"])
    assert not re.search(r"\bimport\b|importScripts|XMLHttpRequest", FILES["queue.js"])


def test_it_reaches_the_server_by_one_address_that_its_page_names() -> None:
    script = FILES["queue.js"]
    assert ("meta", {"name": "cinema-api", "content": ""}) in PAGE.tags
    paths = re.findall(r"[`\"'](?:\$\{(\w+)\})?/(?:api|showtimes)/", script)
    assert paths
    assert set(paths) == {"base"}
    assert not re.search(r"https?://", script + FILES["queue.css"])


def test_it_needs_no_code_in_its_page_so_that_a_strict_policy_allows_it() -> None:
    assert PAGE.inline.strip() == ""
    for _, attributes in PAGE.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|\beval\b", FILES["queue.js"])


def test_it_can_be_heard_and_used_without_a_mouse() -> None:
    tags = dict(PAGE.tags)
    assert tags["html"]["lang"]
    assert "main" in tags
    assert "noscript" in tags
    (status,) = [one for _, one in PAGE.tags if one.get("role") == "status"]
    assert status["aria-live"] == "polite"
    assert 'element("go").focus()' in FILES["queue.js"]
