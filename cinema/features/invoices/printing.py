"""Prints documents, in processes of their own (`integrations/fork_server.py`).

A PDF takes a while in which a node could not sell. The first line of what is to be printed is the
language, the rest the document. Everything in the PDF follows from these: the same ones give the
same file, byte by byte, until the library, the fonts or this module change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from fpdf.enums import MethodReturnValue, XPos, YPos

from cinema.features.invoices import words
from cinema.features.invoices.scripts import FAMILY, AnyScript, Fonts, loaded_fonts
from cinema.features.invoices.shapes import Document, Line

_MARGIN_MM: Final = 20.0
_WIDTH_MM: Final = 210.0 - 2 * _MARGIN_MM
_HALF_MM: Final = 95.0
_LINE_MM: Final = 5.0
_SMALL_PT: Final = 9.0
_TEXT_PT: Final = 10.0
_TITLE_PT: Final = 18.0
_GREY: Final = 110

_COLUMNS_MM: Final = (58.0, 50.0, 20.0, 42.0)
_TAX_COLUMNS_MM: Final = (29.0, 47.0, 47.0, 47.0)


class _DocumentSheet(AnyScript):
    """Pages with the number of their document at the foot."""

    def __init__(self, document: Document, language: str, fonts: Fonts | None) -> None:
        super().__init__(msgspec.json.encode(document).decode(), fonts)
        self._number = document.number
        self._id = document.id.hex.upper()
        self._page_text = words.WORDS[language]["page"]
        self.set_margin(_MARGIN_MM)
        self.c_margin = 0.0
        self.set_auto_page_break(True, margin=25.0)
        self.set_creation_date(document.issued_at)
        self.set_producer("cinema")
        self.set_creator("cinema")
        self.set_title(f"{words.TITLES[language][document.kind]} {document.number}")
        self.set_author(document.seller.name)
        self.set_lang(language)

    def file_id(self) -> str:
        """The file's id is that of its document."""
        return f"<{self._id}><{self._id}>"

    def footer(self) -> None:
        """The number of the document and of the page."""
        self.set_y(-18)
        self.set_font(FAMILY, "", _SMALL_PT)
        self.set_text_color(_GREY)
        text = self._page_text.format(number=self._number, page=self.page_no(), pages="{nb}")
        self.cell(_WIDTH_MM, _LINE_MM, text)
        self.set_text_color(0)


class _Printer:
    """Prints one document from top to bottom."""

    def __init__(self, document: Document, language: str, fonts: Fonts | None) -> None:
        self._document = document
        self._language = language
        self._words = words.WORDS[language]
        self._sheet = _DocumentSheet(document, language, fonts)

    def pdf(self) -> bytes:
        self._sheet.add_page()
        self._head()
        self._what()
        self._lines()
        self._taxes()
        self._end()
        return bytes(self._sheet.output())

    def _font(self, size_pt: float = _TEXT_PT, *, bold: bool = False, grey: bool = False) -> None:
        self._sheet.set_font(FAMILY, "B" if bold else "", size_pt)
        self._sheet.set_text_color(_GREY if grey else 0)

    def _text(self, text: str, width_mm: float = _WIDTH_MM) -> None:
        """A paragraph from the left margin, on as many lines as it takes."""
        self._sheet.multi_cell(
            width_mm,
            _LINE_MM,
            self._sheet.printable(text),
            align="L",
            new_x=XPos.LMARGIN,
            new_y=YPos.NEXT,
        )

    def _head(self) -> None:
        """The seller at the left, what this is at the right, the buyer below."""
        sheet, document, seller = self._sheet, self._document, self._document.seller
        top = sheet.get_y()
        self._font(_TEXT_PT, bold=True)
        self._text(seller.name, _HALF_MM)
        self._font(_SMALL_PT)
        city = " ".join(part for part in (seller.city, seller.country) if part)
        named = seller.cinema if seller.cinema != seller.name else ""
        tax = f"{self._words['tax_number']}: {seller.tax_number}" if seller.tax_number else ""
        for text in (named, seller.address, city, tax):
            if text:
                self._text(text, _HALF_MM)
        left = sheet.get_y()
        sheet.set_y(top)
        self._at_right(words.TITLES[self._language][document.kind], _TITLE_PT, bold=True)
        sheet.ln(2)
        for name, text in (
            ("number", document.number),
            ("date", words.day(document.issued_on, self._language)),
            ("booking", document.booking.code),
        ):
            self._at_right(f"{self._words[name]}: {text}", _TEXT_PT)
        sheet.set_y(max(left, sheet.get_y()) + 6)
        buyer = [one for one in (document.buyer.name, document.buyer.address) if one]
        if document.buyer.tax_number:
            buyer.append(f"{self._words['tax_number']}: {document.buyer.tax_number}")
        if buyer:
            self._font(_SMALL_PT, grey=True)
            self._text(self._words["buyer"])
            self._font()
            for text in buyer:
                self._text(text)
            sheet.ln(4)

    def _at_right(self, text: str, size_pt: float, *, bold: bool = False) -> None:
        self._font(size_pt, bold=bold)
        self._sheet.set_x(_MARGIN_MM + _HALF_MM)
        self._sheet.cell(
            _WIDTH_MM - _HALF_MM,
            size_pt / 2,
            self._sheet.printable(text),
            align="R",
            new_x=XPos.LMARGIN,
            new_y=YPos.NEXT,
        )

    def _what(self) -> None:
        """The film and when it is shown, and which invoice this is about."""
        document, showtime = self._document, self._document.showtime
        about = {"corrects": document.corrects, "supplements": document.supplements}
        for word, other in about.items():
            if other is not None:
                self._font()
                on = words.day(other.issued_on, self._language)
                self._text(self._words[word].format(number=other.number, date=on))
                self._sheet.ln(2)
        self._font(bold=True)
        self._text(showtime.film)
        self._font(_SMALL_PT)
        starts = words.minute(showtime.starts, self._language)
        self._text(f"{starts}, {showtime.screen}")
        self._sheet.ln(4)

    def _lines(self) -> None:
        """A row for each item; the head of the table is repeated on each page."""
        sheet = self._sheet
        self._table_head(("item", "type", "rate", "price"), _COLUMNS_MM)
        for line in self._document.lines:
            cells = self._cells(line)
            height = self._height(cells, _COLUMNS_MM)
            if sheet.will_page_break(height):
                sheet.add_page()
                self._table_head(("item", "type", "rate", "price"), _COLUMNS_MM)
            self._row(cells, _COLUMNS_MM, height)
        sheet.ln(4)

    def _cells(self, line: Line) -> tuple[str, ...]:
        if line.kind == "seat":
            item = f"{self._words['seat']} {line.seat}"
            if line.instead_of:
                names = {"seat": line.seat, "former": line.instead_of}
                item = self._words["instead_of"].format(**names)
            kind = words.ticket(line.type, line.name, self._language)
            if line.category and line.category != "regular":
                kind = f"{kind}, {line.category}"
        else:
            item, kind = line.name, ""
        return (
            item,
            kind,
            words.percent(line.rate, self._language),
            words.amount(line.gross, self._language),
        )

    def _table_head(self, names: Sequence[str], columns: Sequence[float]) -> None:
        self._font(_SMALL_PT, grey=True)
        self._row([self._words[name] for name in names], columns, _LINE_MM)
        sheet = self._sheet
        sheet.set_draw_color(_GREY)
        sheet.line(_MARGIN_MM, sheet.get_y(), _MARGIN_MM + _WIDTH_MM, sheet.get_y())
        sheet.ln(1)
        self._font()

    def _height(self, cells: Sequence[str], columns: Sequence[float]) -> float:
        most = 1
        for text, width in zip(cells, columns, strict=True):
            lines = self._sheet.multi_cell(
                width,
                _LINE_MM,
                self._sheet.printable(text),
                dry_run=True,
                output=MethodReturnValue.LINES,
            )
            assert isinstance(lines, list)
            most = max(most, len(lines))
        return _LINE_MM * most

    def _row(self, cells: Sequence[str], columns: Sequence[float], height: float) -> None:
        sheet = self._sheet
        top = sheet.get_y()
        for place, (text, width) in enumerate(zip(cells, columns, strict=True)):
            sheet.set_xy(_MARGIN_MM + sum(columns[:place]), top)
            # Texts at the left, numbers at the right.
            align = "L" if place < len(columns) // 2 and columns is _COLUMNS_MM else "R"
            sheet.multi_cell(width, _LINE_MM, sheet.printable(text), align=align)
        sheet.set_xy(_MARGIN_MM, top + height)

    def _taxes(self) -> None:
        """The tax of each rate, and the total, which are not torn from each other."""
        sheet, document = self._sheet, self._document
        if sheet.will_page_break(_LINE_MM * (len(document.taxes) + 5)):
            sheet.add_page()
        self._table_head(("rate", "net", "tax", "gross"), _TAX_COLUMNS_MM)
        for tax in document.taxes:
            amounts = [words.amount(one, self._language) for one in (tax.net, tax.tax, tax.gross)]
            self._row(
                [words.percent(tax.rate, self._language), *amounts], _TAX_COLUMNS_MM, _LINE_MM
            )
        sheet.ln(2)
        self._font(12, bold=True)
        word = "total" if document.kind == "invoice" else "refunded"
        total = f"{self._words[word]}: {words.amount(document.total, self._language)}"
        sheet.cell(_WIDTH_MM, 8, total, align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _end(self) -> None:
        self._font(_SMALL_PT)
        paid = words.method(self._document.payment.method, self._language)
        self._text(f"{self._words['payment']}: {paid}")
        self._text(self._words["included"])


def pdf_of(document: Document, language: str, fonts: Fonts | None = None) -> bytes:
    """The document as a PDF; `fonts` serve for one."""
    return _Printer(document, language, fonts).pdf()


def prepare() -> Callable[[bytes], bytes]:
    """Load what every document needs; the process that prints one does the rest."""
    fonts = loaded_fonts()

    def printed(content: bytes) -> bytes:
        language, _, document = content.partition(b"\n")
        return pdf_of(msgspec.json.decode(document, type=Document), language.decode(), fonts)

    return printed
