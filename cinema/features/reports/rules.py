"""What stands in a distributor return, and how it is written as CSV. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Final
from uuid import UUID

from cinema.domain.rejections import refuse
from cinema.features.reports.shapes import Figures, Return

DAYS_MAX: Final = 366
"""Longest period of a return."""

_Key = tuple[date, UUID, str]
_HEAD: Final = (
    *("number", "cinema", "film", "day", "screen", "ticket_type", "correction"),
    *("admissions", "gross", "tax", "net", "currency"),
)


def check_period(first: date, last: date, today: date | None = None) -> None:
    """Refuses VALIDATION_ERROR for a period that ends before it begins, is too long or not over."""
    if last < first:
        raise refuse("VALIDATION_ERROR", "`to` is before `from`.", path="$.to")
    if last - first >= timedelta(days=DAYS_MAX):
        raise refuse("VALIDATION_ERROR", f"At most {DAYS_MAX} days.", path="$.to")
    if today is not None and last >= today:
        raise refuse("VALIDATION_ERROR", "The last day is not over at the cinema.", path="$.to")


def lines_of(
    now: Iterable[Figures], earlier: Sequence[Return], first: date, last: date
) -> list[Figures]:
    """What was not told yet: of the period, and the corrections of days that were told before.

    `now` are the figures of the period and of all days of `earlier` returns as they are today.
    """
    told: dict[_Key, tuple[str, int, int, int]] = {}
    days_told = [(one.first, one.last) for one in earlier]
    for one in earlier:
        for line in one.lines:
            _, admissions, gross, tax = told.get(_key(line), ("", 0, 0, 0))
            told[_key(line)] = (
                line.screen,
                admissions + line.admissions,
                gross + line.gross,
                tax + line.tax,
            )
    today = {_key(line): line for line in now}
    lines = []
    for key in sorted(today.keys() | told.keys()):
        day, screen_id, type_ = key
        before = any(begins <= day <= ends for begins, ends in days_told)
        if not before and not first <= day <= last:
            continue
        found = today.get(key)
        screen, admissions, gross, tax = told.get(key, ("", 0, 0, 0))
        if found is not None:
            screen = found.screen
        more = _difference(found, admissions, gross, tax)
        if any(more):
            lines.append(
                Figures(
                    day=day,
                    screen_id=screen_id,
                    screen=screen,
                    type=type_,
                    admissions=more[0],
                    gross=more[1],
                    tax=more[2],
                    net=more[1] - more[2],
                    correction=before,
                )
            )
    return lines


def _key(line: Figures) -> _Key:
    return line.day, line.screen_id, line.type


def _difference(
    line: Figures | None, admissions: int, gross: int, tax: int
) -> tuple[int, int, int]:
    if line is None:
        return -admissions, -gross, -tax
    return line.admissions - admissions, line.gross - gross, line.tax - tax


def as_csv(one: Return) -> bytes:
    """A return as CSV (RFC 4180), amounts in minor units."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_HEAD)
    for line in one.lines:
        writer.writerow(
            (
                *("" if one.number is None else one.number, cell(one.cinema), cell(one.film)),
                *(line.day.isoformat(), cell(line.screen), cell(line.type)),
                *("yes" if line.correction else "no", line.admissions),
                *(line.gross, line.tax, line.net, one.currency),
            )
        )
    return text.getvalue().encode()


def cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
