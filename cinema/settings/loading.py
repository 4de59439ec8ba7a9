"""Reads settings from environment variables, secret files and flags."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from cinema.settings.checks import problems_together
from cinema.settings.fields import Secret, Settings

# In addition to true, false, 1 and 0, which msgspec knows.
_SWITCHES = {"yes": "true", "on": "true", "no": "false", "off": "false"}
_LONGEST_SECRET_FILE_BYTES = 64 << 10
_ONLY_WHILE_DEVELOPING = ("demo_payment", "demo_data")


class SettingsError(Exception):
    """Has all problems that were found, so that one start shows them all."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One setting: its attribute, its type without the annotation, and the annotation."""

    attribute: str
    kind: Any
    about: msgspec.Meta
    default: object

    @property
    def variable(self) -> str:
        """The environment variable."""
        return self.attribute.upper()

    @property
    def secret(self) -> bool:
        """Whether the value is never shown, has no flag, and may come from a file."""
        return self.kind is Secret

    @property
    def hint(self) -> Any:
        """The type with its bounds, as msgspec needs it."""
        return Annotated[self.kind, self.about]

    @property
    def doc(self) -> str:
        """The meaning of the setting."""
        return self.about.description or ""

    @property
    def unit(self) -> str:
        """The unit of a number; may be empty."""
        return str((self.about.extra or {})["unit"])

    @property
    def expected(self) -> str:
        """The possible values, in words that fit after "is not" in a message."""
        if self.kind is bool:
            return "true or false"
        if get_origin(self.kind) is Literal:
            return f"one of {', '.join(get_args(self.kind))}"
        return f"a whole number from {self.about.ge} to {self.about.le} {self.unit}".rstrip()


def fields() -> list[Field]:
    """All settings, in the order of their definition."""
    hints = get_type_hints(Settings, include_extras=True)
    found = []
    for info in msgspec.structs.fields(Settings):
        kind, about = get_args(hints[info.name])
        found.append(Field(attribute=info.name, kind=kind, about=about, default=info.default))
    return found


def load_settings(environ: Mapping[str, str], flags: Mapping[str, str] | None = None) -> Settings:
    """The settings of the environment; flags, named by attribute, override them.

    An empty value counts as absent. A secret `X` is also read from the file in `X_FILE`. Raises
    `SettingsError` with all problems.
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
    """A secret with its file; other values stay as they are."""
    path = environ.get(f"{field.variable}_FILE", "").strip()
    if not (path and isinstance(value, Secret)):
        return value
    return Secret(value, Path(path).absolute())


def _parse(field: Field, text: str) -> object:
    """The value of a text; msgspec converts it and checks its bounds."""
    value: object = text
    if field.kind is bool:
        value = _SWITCHES.get(text.lower(), text)
    elif get_origin(field.kind) is Literal:
        value = text.lower()
    elif get_origin(field.kind) is tuple:
        value = [part.strip() for part in text.split(",") if part.strip()]
    try:
        return msgspec.convert(value, field.hint, strict=False, dec_hook=_from_text)
    except msgspec.ValidationError:
        raise ValueError(f"{text!r} is not {field.expected}") from None


def _from_text(kind: type[Path | Secret], text: str) -> object:
    value = kind(text)
    return value.expanduser().absolute() if isinstance(value, Path) else value
