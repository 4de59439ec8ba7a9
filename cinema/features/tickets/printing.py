"""Prints the tickets of a booking, in processes of their own as invoices are printed.

The same tickets give the same file, byte by byte.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from fpdf.enums import XPos, YPos

from cinema.features.invoices.scripts import FAMILY, AnyScript, Fonts, loaded_fonts
from cinema.features.invoices.words import minute, ticket
from cinema.features.tickets.qr import QUIET_MODULES, code_of
from cinema.features.tickets.rules import FOR_ALL_AGES
from cinema.features.tickets.shapes import PrintedTickets
from cinema.features.tickets.words import WORDS

_MARGIN_MM: Final = 15.0
_WIDTH_MM: Final = 210.0 - 2 * _MARGIN_MM
_TICKET_MM: Final = 64.0
"""Height of a ticket: four fit on a page."""

_CODE_MM: Final = 54.0
"""Width of a code with its quiet zone: a module is 1.1 mm."""

_GAP_MM: Final = 5.0
_TEXT_MM: Final = _WIDTH_MM - _CODE_MM - 3 * _GAP_MM
_GREY: Final = 110


class _TicketSheet(AnyScript):
    """Pages with the code of the booking at the foot."""

    def __init__(self, printed: PrintedTickets, fonts: Fonts | None) -> None:
        super().__init__(msgspec.json.encode(printed).decode(), fonts)
        self._printed = printed
        self._words = WORDS[printed.language]
        self.set_margin(_MARGIN_MM)
        self.c_margin = 0.0
        self.set_auto_page_break(False)
        self.set_creation_date(printed.created_at)
        self.set_producer("cinema")
        self.set_creator("cinema")
        self.set_title(f"{self._words['title']} {printed.code}")
        self.set_lang(printed.language)

    def file_id(self) -> str:
        """The file's id is that of its booking."""
        return f"<{self._printed.booking_id.hex}><{self._printed.booking_id.hex}>"

    def footer(self) -> None:
        """The code of the booking and the number of the page."""
        self.set_y(-14)
        self.set_font(FAMILY, "", 8)
        self.set_text_color(_GREY)
        code, page = self._printed.code, self.page_no()
        self.cell(
            _WIDTH_MM, 5, self._words["page"].format(code=code, page=page, pages="{nb}"), align="R"
        )
        self.set_text_color(0)

    def pdf(self) -> bytes:
        """All tickets; the code for all of them comes first."""
        printed, words = self._printed, self._words
        top = self.new_page()
        if printed.group_token is not None:
            count = words["all"].format(count=len(printed.tickets))
            self.ticket(top, printed.group_token, count, words["all_hint"])
            top += _TICKET_MM
        for one in printed.tickets:
            if top + _TICKET_MM > 297 - 15:
                top = self.new_page()
            kind = ticket(one.type, "", printed.language)
            if one.category != "regular":
                kind = f"{kind}, {one.category}"
            self.ticket(top, one.token, f"{words['seat']} {one.seat}", kind)
            top += _TICKET_MM
        return bytes(self.output())

    def new_page(self) -> float:
        """Begin a page; where the first ticket on it begins."""
        self.add_page()
        return _MARGIN_MM

    def ticket(self, top: float, token: str, what: str, kind: str) -> None:
        """One ticket in its frame, the code at the right."""
        printed = self._printed
        self.set_draw_color(_GREY)
        self.rect(_MARGIN_MM, top, _WIDTH_MM, _TICKET_MM - 4)
        self.code(_MARGIN_MM + _WIDTH_MM - _CODE_MM - 3, top + 3, token)
        self.set_xy(_MARGIN_MM + _GAP_MM, top + 4)
        self.line_of(printed.film, 14, bold=True, lines=2)
        self.line_of(minute(printed.starts, printed.language), 11, bold=True)
        self.line_of(f"{printed.cinema}, {printed.screen}", 10)
        self.line_of(printed.address, 8, grey=True)
        self.line_of(what, 16, bold=True)
        self.line_of(kind, 10)
        age = "" if printed.age_rating in FOR_ALL_AGES else f"{printed.age_rating}"
        about = [printed.about, self._words["age"].format(age=age) if age else ""]
        self.line_of(" · ".join(one for one in about if one), 8, grey=True)
        self.line_of(f"{self._words['booking']}: {printed.code}", 8, grey=True)

    def line_of(
        self, text: str, size_pt: float, *, bold: bool = False, grey: bool = False, lines: int = 1
    ) -> None:
        """A text below the last one, cut to so many lines."""
        self.set_font(FAMILY, "B" if bold else "", size_pt)
        self.set_text_color(_GREY if grey else 0)
        height = size_pt * 0.46
        shown = self.fitted(self.printable(text), lines)
        for line in shown:
            self.set_x(_MARGIN_MM + _GAP_MM)
            self.cell(_TEXT_MM, height, line, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.set_y(self.get_y() + 0.8)
        self.set_text_color(0)

    def fitted(self, text: str, lines: int) -> list[str]:
        """The text on at most so many lines; the last one ends with dots if there is more."""
        made: list[str] = []
        rest = text
        while rest and len(made) < lines:
            end = len(rest)
            while end > 1 and self.get_string_width(rest[:end]) > _TEXT_MM:
                end -= 1
            if end < len(rest):
                if len(made) == lines - 1:
                    end -= 1
                    made.append(rest[:end].rstrip() + "…")
                    return made
                space = rest.rfind(" ", 0, end)
                end = space if space > 0 else end
            made.append(rest[:end].rstrip())
            rest = rest[end:].lstrip()
        return made

    def code(self, left: float, top: float, token: str) -> None:
        """A code in black squares on white, with its quiet zone."""
        rows = list(code_of(token).matrix)
        module = _CODE_MM / (len(rows) + 2 * QUIET_MODULES)
        self.set_fill_color(255)
        self.rect(left, top, _CODE_MM, _CODE_MM, style="F")
        self.set_fill_color(0)
        for y, row in enumerate(rows):
            x = 0
            while x < len(row):
                run = x
                while run < len(row) and row[run]:
                    run += 1
                if run > x:
                    # One rectangle for what is dark side by side: seams would show between squares.
                    self.rect(
                        left + (x + QUIET_MODULES) * module,
                        top + (y + QUIET_MODULES) * module,
                        (run - x) * module,
                        module,
                        style="F",
                    )
                x = max(run, x + 1)


def pdf_of(printed: PrintedTickets, fonts: Fonts | None = None) -> bytes:
    """The tickets as a PDF; `fonts` serve for one."""
    return _TicketSheet(printed, fonts).pdf()


def prepare() -> Callable[[bytes], bytes]:
    """Load what all tickets need; the process that prints some does the rest."""
    fonts = loaded_fonts()
    return lambda content: pdf_of(msgspec.json.decode(content, type=PrintedTickets), fonts)
