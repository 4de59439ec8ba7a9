"""PDFs of documents: what stands in them, on how many pages, and that they come out the same."""

from __future__ import annotations

import asyncio
from datetime import date
from uuid import UUID

import msgspec
import pypdfium2
import pytest

from cinema.domain.money import Money
from cinema.features.invoices import scripts, words
from cinema.features.invoices.printing import pdf_of
from cinema.features.invoices.rules import ChosenSeat, InvoicedSale, RefundedItems, Sold, Supplement
from cinema.features.invoices.scripts import MISSING
from cinema.features.invoices.service import ANSWER_LIMIT_BYTES, PROGRAM
from cinema.features.invoices.shapes import Buyer, Document, Seller
from cinema.integrations.forks import ForkServer
from tests.unit.features.invoices.documents import documents, sale, seats


def pages_of(pdf: bytes) -> list[str]:
    """The text of each page, lines joined."""
    opened = pypdfium2.PdfDocument(pdf)
    try:
        texts = [page.get_textpage().get_text_bounded() for page in opened]
    finally:
        opened.close()
    return [" ".join(text.split()) for text in texts]


def shown_at(film: str, one: InvoicedSale) -> InvoicedSale:
    return msgspec.structs.replace(
        one, showtime=msgspec.structs.replace(one.showtime, film=film, screen="Großer Saal")
    )


def printed(document: Document, language: str) -> str:
    (page,) = pages_of(pdf_of(document, language))
    return page


def test_an_invoice_says_who_sold_what_to_whom() -> None:
    made = sale(
        *seats(1250, 950),
        Sold("fee", "", "", "", "Booking fee", 150, 1900),
        seller=Seller(
            name="Lichtspielhaus Österreich & Südtirol GmbH",
            cinema="Kino Aurora",
            address="Lindenufer 12, 10178 Berlin",
            city="",
            country="DE",
            tax_number="DE123456789",
        ),
        buyer=Buyer(name="Jürgen Łukasiewicz", address="Οδός Αθηνών 1, Αθήνα", tax_number="EL123"),
    )
    (document,) = documents(shown_at("Сталкер – The Stalker", made))
    text = printed(document, "en")
    for part in (
        *("Lichtspielhaus Österreich & Südtirol GmbH", "Kino Aurora", "10178 Berlin"),
        *("Tax number: DE123456789", "Jürgen Łukasiewicz", "Οδός Αθηνών 1, Αθήνα", "EL123"),
        *("Invoice", "Number: BER-2026-1", "Date: 2026-06-01", "Booking: K7M2Q9XA"),
        *("Сталкер – The Stalker", "2026-06-01, 19:31, Großer Saal", "Seat A1 Adult 7 %"),
        *("12.50 EUR", "Booking fee 19 % 1.50 EUR", "Total: 23.50 EUR", "Payment: Demo"),
        "BER-2026-1, page 1 of 1",
    ):
        assert part in text, part


def test_it_comes_in_german() -> None:
    (document,) = documents(sale(*seats(125000, rate=888)))
    text = printed(document, "de")
    for part in ("Rechnung", "Datum: 01.06.2026", "Platz A1 Erwachsene 8,88 %", "1.250,00 EUR"):
        assert part in text, part


def test_corrections_name_their_invoice() -> None:
    made = documents(
        sale(*seats(1250, 950)),
        RefundedItems((("A2", 950),), 950, False),
        RefundedItems((), 0, True),
    )
    text = printed(made[1], "en")
    assert "Credit note" in text
    assert "Corrects invoice BER-2026-1 of 2026-06-01" in text
    assert "Total given back: 9.50 EUR" in text
    _, ended = documents(sale(*seats(100)), RefundedItems((("A1", 100),), 100, True))
    assert "Stornorechnung" in printed(ended, "de")


def test_an_invoice_of_other_seats_names_both_and_the_invoice_of_the_booking() -> None:
    chosen = ChosenSeat("A2", "B2", "vip", "adult", 300)
    more = Supplement((chosen,), 300, payment_id=UUID(int=1), method="demo")
    _, second = documents(sale(*seats(1250, 950)), more)
    text = printed(second, "en")
    assert "Other seats, in addition to invoice BER-2026-1 of 2026-06-01" in text
    assert "Seat B2, instead of A2" in text
    assert "Total: 3.00 EUR" in text
    assert "Platz B2 statt A2" in printed(second, "de")


@pytest.mark.parametrize(
    ("currency", "shown"), [("JPY", "1,900 JPY"), ("KWD", "1.900 KWD"), ("EUR", "19.00 EUR")]
)
def test_amounts_have_the_digits_of_their_currency(currency: str, shown: str) -> None:
    (document,) = documents(sale(*seats(1900), currency=currency))
    assert f"Total: {shown}" in printed(document, "en")


def test_many_seats_go_on_on_the_next_page_under_the_same_heads() -> None:
    (document,) = documents(sale(*seats(*range(1000, 1050))))
    pages = pages_of(pdf_of(document, "en"))
    assert len(pages) == 2
    assert all("Item Ticket Tax Price" in page for page in pages)
    assert all(f"page {number} of 2" in page for number, page in enumerate(pages, 1))
    text = " ".join(pages)
    assert all(f"Seat A{place} Adult 7 % " in text for place in range(1, 51))
    assert "Total:" in pages[1]
    assert "Total:" not in pages[0]


@pytest.mark.parametrize("count", range(33, 42))
def test_taxes_and_total_are_not_torn_apart(count: int) -> None:
    (document,) = documents(sale(*seats(*[1000] * count)))
    pages = pages_of(pdf_of(document, "en"))
    (last,) = [page for page in pages if "Total:" in page]
    assert "Net Tax amount Gross" in last
    assert "All prices include tax." in last


def test_names_of_any_length_stay_on_the_page() -> None:
    (document,) = documents(
        shown_at("W" * 300, sale(*seats(10**11), buyer=Buyer(name="", address="")))
    )
    text = printed(document, "en")
    assert text.replace(" ", "").count("W") == 300
    assert "Customer" not in text


def test_characters_without_a_glyph_are_seen_to_be_missing() -> None:
    (document,) = documents(shown_at("\U00013000" * 4 + " Cleopatra", sale(*seats(1))))
    assert f"{MISSING * 4} Cleopatra" in printed(document, "en")


@pytest.mark.parametrize(
    "film",
    [
        "千と千尋の神隠し",
        "기생충",
        "霸王别姬",
        "臥虎藏龍",
        "ქართული",
        "ሰላም",
        "기생충 千と 霸王别姬",
    ],
)
def test_titles_in_any_script_are_printed(film: str) -> None:
    (document,) = documents(shown_at(film, sale(*seats(1))))
    text = printed(document, "en")
    assert film in text
    assert MISSING not in text


@pytest.mark.parametrize(
    "film", ["جدایی نادر از سیمین", "ואלס עם באשיר", "ฉลาดเกมส์โกง", "तारे ज़मीन पर"]
)
def test_letters_that_are_joined_or_run_from_the_right_are_shaped(film: str) -> None:
    """Which glyphs stand there, and in which order, is harfbuzz's; that it is asked is ours."""
    (document,) = documents(shown_at(film, sale(*seats(1))))
    text = printed(document, "en")
    assert MISSING not in text
    assert len(set(film) & set(text)) > len(set(film)) // 2
    assert scripts.is_shaped(film)
    assert not scripts.is_shaped("Großer Saal, 千と千尋")


def test_without_the_package_of_fonts_boxes_stand_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripts, "PACKAGE", "no_such_package")
    (document,) = documents(shown_at("千と千尋 Spirited Away", sale(*seats(1))))
    assert f"{MISSING * 4} Spirited Away" in printed(document, "en")


def test_a_document_in_another_script_is_the_same_file_too() -> None:
    (document,) = documents(shown_at("千と千尋の神隠し", sale(*seats(1250))))
    assert pdf_of(document, "de") == pdf_of(document, "de")


def test_letters_in_parts_are_put_together() -> None:
    (document,) = documents(shown_at("Ma\u0308dchen\nin  Uniform", sale(*seats(1))))
    assert "Mädchen in Uniform" in printed(document, "en")


async def test_a_document_is_the_same_file_whoever_prints_it_and_when() -> None:
    """Two servers with other hashes, a second apart at least where the clock ticks between."""
    (document,) = documents(sale(*seats(1250, 950)))
    content = b"de\n" + msgspec.json.encode(document)
    files = set()
    for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo")):
        environment = {"PYTHONHASHSEED": seed, "TZ": zone, "SOURCE_DATE_EPOCH": seed}
        server = ForkServer((PROGRAM,), environment=environment)
        try:
            # Side by side, they share the fonts that the server has read.
            asked = [server.answer(PROGRAM, content, ANSWER_LIMIT_BYTES) for _ in range(3)]
            files.update(await asyncio.gather(*asked))
        finally:
            await server.close()
    assert files == {pdf_of(document, "de")}


@pytest.mark.parametrize("film", ["Der Himmel über AVA", "جدایی نادر از سیمین", "東京物語"])
def test_tables_that_no_sheet_needs_change_nothing(
    film: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (document,) = documents(shown_at(film, sale(*seats(1))))
    without = pdf_of(document, "en")
    monkeypatch.setattr(scripts, "LAYOUT_TABLES", ())
    assert pdf_of(document, "en") == without


def test_fonts_that_are_read_beforehand_have_no_open_file() -> None:
    """Processes that are forked would share its position, and read what is elsewhere."""
    for font in scripts.loaded_fonts().values():
        assert font.ttfont.reader is not None
        with pytest.raises(OSError, match="fileno"):
            font.ttfont.reader.file.fileno()


def test_amounts_days_and_names_as_people_write_them() -> None:
    assert words.amount(Money(0, "JPY"), "de") == "0 JPY"
    assert words.amount(Money(123456789, "EUR"), "de") == "1.234.567,89 EUR"
    assert words.percent(0, "en") == "0 %"
    assert words.percent(850, "de") == "8,5 %"
    assert words.day(date(2026, 2, 3), "en") == "2026-02-03"
    assert words.minute("2026-02-03 20:15", "de") == "03.02.2026, 20:15"
    assert words.method("gift_card", "de") == "Gutschein"
    assert words.method("bank_transfer", "de") == "Bank transfer"
    assert words.ticket("adult", "Erwachsene ab 18", "en") == "Erwachsene ab 18"
    assert words.ticket("early-bird", "", "en") == "Early bird"
    for texts in (words.TITLES, words.WORDS):
        assert texts["en"].keys() == texts["de"].keys()
