"""Finds the route of a path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar
from urllib.parse import unquote

from cinema.domain.ids import parse_id
from cinema.http.targets import origin_form

T = TypeVar("T")


class Match(Generic[T]):
    """The result for a path: the target, its parameters, and the text of the subject's id."""

    __slots__ = ("params", "subject_id", "target")

    def __init__(self, target: T, params: tuple[bytes, ...], subject_id: str | None) -> None:
        self.target = target
        self.params = params
        self.subject_id = subject_id


class _PathSegment(Generic[T]):
    __slots__ = ("children", "literal", "methods", "parameter", "parameter_is_text", "subject_at")

    def __init__(self) -> None:
        self.children: dict[str, _PathSegment[T]] = {}
        self.parameter: _PathSegment[T] | None = None
        self.parameter_is_text = False
        self.methods: dict[str, T] = {}
        self.subject_at: int | None = None
        self.literal: str | None = None


class Router(Generic[T]):
    """A trie over path segments; a literal segment wins over a parameter.

    `subject` is the name of the parameter whose text a match tells.
    """

    def __init__(self, subject: str | None = None) -> None:
        self._subject = subject
        self._root: _PathSegment[T] = _PathSegment()

    def add(self, method: str, path: str, target: T, *, literal: bool = False) -> None:
        """Register `target`; two targets for one method and path are an error."""
        node = self._root
        names: list[str] = []
        for segment in path.split("/")[1:]:
            if segment.startswith("{"):
                name, _, kind = segment[1:-1].partition(":")
                names.append(name)
                if node.parameter is None:
                    node.parameter = _PathSegment()
                    node.parameter_is_text = kind == "text"
                elif node.parameter_is_text != (kind == "text"):
                    raise ValueError(f"{path}: {name} is both an id and text")
                node = node.parameter
            else:
                node = node.children.setdefault(segment, _PathSegment())
        if method in node.methods:
            raise ValueError(f"{method} {path} is routed twice")
        node.methods[method] = target
        if literal:
            node.literal = path
        if self._subject in names:
            node.subject_at = names.index(self._subject)

    def find(self, method: str, raw_target: str) -> Match[T] | Mapping[str, T] | None:
        """The target for `method` at `raw_target` (path and query, as sent).

        If only the method is wrong, it is a mapping of the allowed methods; None if the path does
        not exist. GET answers HEAD too; one trailing slash is ignored. The target may be a whole
        address.
        """
        path, _, _ = origin_form(raw_target).partition("?")
        segments = path.split("/")
        if segments[-1] == "" and len(segments) > 2:
            segments.pop()
        node = self._root
        texts: list[str] = []
        params: list[bytes] = []
        position = 1
        count = len(segments)
        while position < count:
            segment = segments[position]
            child: _PathSegment[T] | None = node.children.get(segment)
            if child is None and "%" in segment:
                segment = unquote(segment, errors="replace")
                child = node.children.get(segment)
            if child is None:
                if node.parameter is None:
                    return None
                value = (
                    segment.encode(errors="replace")
                    if node.parameter_is_text
                    else parse_id(segment)
                )
                if value is None:
                    return None
                params.append(value)
                texts.append(segment)
                child = node.parameter
            node = child
            position += 1
        if node.literal is not None and raw_target.partition("?")[0] != node.literal:
            return None
        methods = node.methods
        target = methods.get(method)
        if target is None and method == "HEAD":
            target = methods.get("GET")
        if target is None:
            return methods or None
        subject_at = node.subject_at
        return Match(
            target, tuple(params), None if subject_at is None else texts[subject_at].lower()
        )

    def begins(self, raw_target: str) -> bool:
        """Whether a route has the first segment of `raw_target`, or the target is no path."""
        path, _, _ = origin_form(raw_target).partition("?")
        if not path.startswith("/"):
            return True
        return unquote(path.split("/")[1], errors="replace") in self._root.children


def allowed_methods(methods: Iterable[str]) -> str:
    """The value of `Allow` for a path that answers `methods`."""
    allowed = {*methods, "OPTIONS"}
    if "GET" in allowed:
        allowed.add("HEAD")
    return ", ".join(sorted(allowed))
