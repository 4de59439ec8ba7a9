"""Reads settings from environment variables, secret files and flags."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from cinema.settings.checks import problems_together
from cinema.settings.fields import Secret, Setting, Settings

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_INTEGER = re.compile(r"[+-]?[0-9]{1,12}")
_LONGEST_SECRET_FILE_BYTES = 64 << 10
_ONLY_WHILE_DEVELOPING = ("demo_payment", "demo_data")


class SettingsError(Exception):
    """Carries every problem found, so that one start shows them all."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One setting: its attribute, its type without the annotation, and what is known of it."""

    attribute: str
    kind: Any
    about: Setting
    default: object

    @property
    def variable(self) -> str:
        """The environment variable."""
        return self.attribute.upper()

    @property
    def secret(self) -> bool:
        """Whether the value is never shown, takes no flag, and may come from a file."""
        return self.kind is Secret


def fields() -> list[Field]:
    """All settings, in the order of their definition."""
    hints = get_type_hints(Settings, include_extras=True)
    found = []
    for info in msgspec.structs.fields(Settings):
        kind, about = get_args(hints[info.name])
        found.append(Field(attribute=info.name, kind=kind, about=about, default=info.default))
    return found


def load_settings(environ: Mapping[str, str], flags: Mapping[str, str] | None = None) -> Settings:
    """The settings that the environment gives and flags, named by attribute, override.

    An empty value counts as absent. A secret `X` is also read from the file that `X_FILE` names.
    Raises `SettingsError` with every problem found.
    """
    flags = flags or {}
    problems: list[str] = []
    values: dict[str, Any] = {}
    for field in fields():
        try:
            text = flags.get(field.attribute) or _text(field, environ)
            if text:
                values[field.attribute] = _from_file(field, _parse(field, text), environ)
        except ValueError as problem:
            problems.append(f"{field.variable}: {problem}")
    if values.get("environment") == "production":
        values = dict.fromkeys(_ONLY_WHILE_DEVELOPING, False) | values
    settings = Settings(**values)
    problems.extend(problems_together(settings))
    if problems:
        raise SettingsError(problems)
    return settings


def _text(field: Field, environ: Mapping[str, str]) -> str:
    text = environ.get(field.variable, "").strip()
    path = environ.get(f"{field.variable}_FILE", "").strip() if field.secret else ""
    if text and path:
        raise ValueError(f"is set, and so is {field.variable}_FILE; give one")
    if not path:
        return text
    try:
        with Path(path).open("rb") as file:
            return file.read(_LONGEST_SECRET_FILE_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not UTF-8 text"
        raise ValueError(f"cannot read {path}: {reason}") from error


def _from_file(field: Field, value: object, environ: Mapping[str, str]) -> object:
    """A secret that knows its file; all else as it is."""
    path = environ.get(f"{field.variable}_FILE", "").strip()
    if not (path and isinstance(value, Secret)):
        return value
    return Secret(value, Path(path).absolute())


def _parse(field: Field, text: str) -> object:
    kind = field.kind
    if get_origin(kind) is Literal:
        return _choice(text, get_args(kind))
    if kind is bool:
        return _truth(text)
    if kind is int:
        return _bounded(text, field.about)
    if kind is Path:
        return Path(text).expanduser().absolute()
    if get_origin(kind) is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return kind(text)


def _choice(text: str, choices: tuple[str, ...]) -> str:
    if text.lower() not in choices:
        raise ValueError(f"{text!r} is not one of {', '.join(choices)}")
    return text.lower()


def _truth(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError(f"{text!r} is neither true nor false")


def _bounded(text: str, about: Setting) -> int:
    unit = f" {about.unit}" if about.unit else ""
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"{text!r} is not a whole number")
    number = int(text)
    if about.low is not None and number < about.low:
        raise ValueError(f"{number} is less than {about.low}{unit}")
    if about.high is not None and number > about.high:
        raise ValueError(f"{number} is more than {about.high}{unit}")
    return number
