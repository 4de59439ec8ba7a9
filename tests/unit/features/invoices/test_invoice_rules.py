"""What stands in documents: numbers, lines, taxes, and what corrects what."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinema.features.invoices.rules import (
    BACKOFF_LIMIT_S,
    CannotIssue,
    ChosenSeat,
    QuotedLine,
    RefundedItems,
    Sold,
    SoldAs,
    Supplement,
    backoff_s,
    day_of,
    number_of,
    sold,
)
from tests.unit.features.invoices.documents import NOW, desk, documents, due, sale, seats

PAYMENT_ID = UUID("019a0c1e-7000-7000-8000-0000000000d2")
FEE = Sold("fee", "", "", "", "Booking fee", 150, 1900)


def test_an_invoice_has_all_that_was_sold() -> None:
    (made,) = documents(sale(*seats(1250, 950), FEE))
    assert (made.kind, made.number, made.corrects) == ("invoice", "BER-2026-1", None)
    assert [(line.kind, line.seat, line.name) for line in made.lines] == [
        ("seat", "A1", ""),
        ("seat", "A2", ""),
        ("fee", "", "Booking fee"),
    ]
    assert (made.total.amount, made.net.amount, made.tax.amount) == (2350, 2182, 168)
    assert made.currency_digits == 2


def test_tax_is_rounded_once_for_each_rate_over_the_document() -> None:
    """By hand: 3 × 333 = 999 at 7 % has 65.36, so 65; each line alone would give 3 × 22 = 66."""
    (made,) = documents(sale(*seats(333, 333, 333), FEE))
    by_rate = {tax.rate: (tax.gross.amount, tax.net.amount, tax.tax.amount) for tax in made.taxes}
    assert by_rate == {1900: (150, 126, 24), 700: (999, 934, 65)}
    # The missing unit goes to the first of equal remainders.
    assert [line.tax.amount for line in made.lines] == [22, 22, 21, 24]


@pytest.mark.parametrize(
    ("currency", "digits", "price", "tax"),
    [("JPY", 0, 1900, 173), ("KWD", 3, 4500, 409), ("EUR", 2, 1100, 100)],
)
def test_currencies_have_their_own_digits(currency: str, digits: int, price: int, tax: int) -> None:
    (made,) = documents(sale(*seats(price, rate=1000), currency=currency))
    assert (made.currency_digits, made.total.currency) == (digits, currency)
    assert (made.total.amount, made.tax.amount) == (price, tax)


def test_what_costs_nothing_has_an_invoice_over_nothing() -> None:
    (made,) = documents(sale(*seats(0, 0)))
    assert (made.total.amount, made.tax.amount, len(made.lines)) == (0, 0, 2)


def test_each_kind_has_numbers_of_its_own() -> None:
    one, other, third = sale(*seats(100, 100)), sale(*seats(100)), sale(*seats(100))
    at = desk(one, other, third)
    at.take(due(one))
    at.take(due(other))
    at.take(due(one, 2, RefundedItems((("A2", 100),), 100, False)))
    at.take(due(other, 3, RefundedItems((("A1", 100),), 100, True)))
    at.take(due(third))
    assert [made.document.number for made in at.made] == [
        "BER-2026-1",
        "BER-2026-2",
        "BER-CN-2026-1",
        "BER-CX-2026-1",
        "BER-2026-3",
    ]
    assert sorted(at.moved.values()) == [(0, 1), (0, 1), (0, 3)]


def test_numbers_follow_on_and_begin_anew_with_the_year_at_the_cinema() -> None:
    late = NOW.replace(month=12, day=31, hour=23, minute=30)
    tokyo, berlin = sale(*seats(1), time_zone="Asia/Tokyo"), sale(*seats(1))
    assert day_of(tokyo, late).isoformat() == "2027-01-01"
    assert day_of(berlin, late).isoformat() == "2027-01-01"
    new_york = sale(*seats(1), time_zone="America/New_York")
    counters = {(new_york.cinema_id, "invoice", 2026): 41}
    at = desk(new_york, berlin, now=late, counters=counters)
    at.take(due(new_york))
    at.take(due(berlin))
    assert [made.document.number for made in at.made] == ["BER-2026-42", "BER-2027-1"]


def test_a_cinema_without_a_prefix_has_one_of_its_own() -> None:
    assert number_of(sale(prefix=""), "invoice", 2026, 7) == "C000000C1-2026-7"
    assert number_of(sale(prefix="-"), "credit_note", 2026, 7) == "C000000C1-CN-2026-7"


def test_a_part_given_back_has_a_credit_note() -> None:
    first, note = documents(
        sale(*seats(1250, 950)), RefundedItems(seats=(("A2", 950),), amount_minor=950, whole=False)
    )
    assert note.kind == "credit_note"
    assert note.corrects is not None
    assert (note.corrects.id, note.corrects.number) == (first.id, first.number)
    assert [(line.seat, line.gross.amount) for line in note.lines] == [("A2", 950)]


def test_all_given_back_is_a_cancellation_with_the_lines_of_the_invoice() -> None:
    first, ended = documents(
        sale(*seats(1250, 950)),
        RefundedItems(seats=(("A1", 1250), ("A2", 950)), amount_minor=2200, whole=True),
    )
    assert (ended.kind, ended.lines, ended.taxes) == ("cancellation", first.lines, first.taxes)


def test_what_is_left_given_back_is_another_credit_note() -> None:
    made = documents(
        sale(*seats(1250, 950)),
        RefundedItems((("A2", 950),), 950, False),
        RefundedItems((("A1", 1250),), 1250, True),
    )
    assert [one.kind for one in made] == ["invoice", "credit_note", "credit_note"]
    assert made[0].tax.amount == made[1].tax.amount + made[2].tax.amount


def test_half_the_price_given_back_is_shared_out_to_the_seats() -> None:
    _, note = documents(
        sale(*seats(1001, 1000)), RefundedItems((("A1", 1001), ("A2", 1000)), 1000, True)
    )
    assert note.kind == "credit_note"
    assert [line.gross.amount for line in note.lines] == [500, 500]


def test_what_gives_nothing_back_has_no_document() -> None:
    assert len(documents(sale(*seats(1000)), RefundedItems((("A1", 1000),), 0, True))) == 1
    assert len(documents(sale(*seats(0, 0)), RefundedItems((("A1", 0),), 0, False))) == 1


def test_a_free_booking_that_ends_is_cancelled() -> None:
    _, ended = documents(sale(*seats(0)), RefundedItems((("A1", 0),), 0, True))
    assert (ended.kind, ended.total.amount) == ("cancellation", 0)


def test_an_invoice_is_made_once() -> None:
    one = sale(*seats(1000))
    at = desk(one)
    at.take(due(one))
    at.take(due(one))
    assert len(at.made) == 1


def test_a_refund_of_what_has_no_invoice_makes_that_first() -> None:
    one = sale(*seats(1000))
    at = desk(one)
    at.take(due(one, 9, RefundedItems((("A1", 1000),), 1000, True)))
    assert [(made.document.kind, made.event_seq) for made in at.made] == [
        ("invoice", None),
        ("cancellation", 9),
    ]
    at.take(due(one, 1))
    assert len(at.made) == 2


def test_a_refund_that_does_not_fit_takes_no_number() -> None:
    one, other = sale(*seats(1000, 500)), sale(*seats(700))
    at = desk(one, other)
    at.take(due(one))
    with pytest.raises(CannotIssue, match="B1"):
        at.take(due(one, 2, RefundedItems((("B1", 1000),), 1000, False)))
    with pytest.raises(CannotIssue):
        at.take(due(sale()))
    at.take(due(other))
    assert [made.document.number for made in at.made] == ["BER-2026-1", "BER-2026-2"]


def test_no_more_is_given_back_than_is_left() -> None:
    """Some was given back out of goodwill before; the payment service gives the rest then."""
    made = documents(
        sale(*seats(1000, 500)),
        RefundedItems((), 600, False),
        RefundedItems((("A1", 1000), ("A2", 500)), 1500, True),
        RefundedItems((), 1, False),
    )
    assert [one.total.amount for one in made] == [1500, 600, 900]
    assert [line.gross.amount for line in made[1].lines] == [400, 200]
    assert [line.gross.amount for line in made[2].lines] == [600, 300]


def test_what_goes_back_beside_the_seats_is_of_the_fees_and_then_of_the_rest() -> None:
    other = Sold("fee", "", "", "", "Glasses", 100, 1900)
    _, first, second = documents(
        sale(*seats(1000, 500), FEE, other),
        RefundedItems((("A1", 1000),), 1100, False),
        RefundedItems((("A2", 500),), 650, True),
    )
    assert [(line.name or line.seat, line.gross.amount) for line in first.lines] == [
        ("A1", 1000),
        ("Booking fee", 60),
        ("Glasses", 40),
    ]
    assert [(line.name or line.seat, line.gross.amount) for line in second.lines] == [
        ("A2", 500),
        ("Booking fee", 90),
        ("Glasses", 60),
    ]
    (_, generous) = documents(sale(*seats(1000, 500)), RefundedItems((("A2", 500),), 800, False))
    assert [(line.seat, line.gross.amount) for line in generous.lines] == [("A1", 300), ("A2", 500)]


def test_fees_of_one_name_are_told_apart() -> None:
    made = documents(
        sale(*seats(0), FEE, FEE), RefundedItems((), 200, False), RefundedItems((), 100, False)
    )
    assert [[line.gross.amount for line in one.lines] for one in made] == [
        [0, 150, 150],
        [100, 100],
        [100],
    ]


def test_waits_become_longer_up_to_a_bound() -> None:
    assert [backoff_s(attempts) for attempts in (1, 2, 3)] == [10.0, 20.0, 40.0]
    assert backoff_s(100) == BACKOFF_LIMIT_S


@given(
    prices=st.lists(st.integers(0, 5000), min_size=1, max_size=12),
    rates=st.lists(st.sampled_from([0, 700, 1900, 888]), min_size=12, max_size=12),
    percent=st.integers(1, 100),
    data=st.data(),
)
def test_corrections_never_exceed_the_invoice_and_add_up_to_it(
    prices: list[int], rates: list[int], percent: int, data: st.DataObject
) -> None:
    """The naive model: each seat once, in any order and grouping, at any share of its price."""
    sold = tuple(
        Sold("seat", f"A{at}", "regular", "adult", "", price, rate)
        for at, (price, rate) in enumerate(zip(prices, rates, strict=False))
    )
    order = data.draw(st.permutations(sold))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(order)), max_size=3)) | {len(order)})
    refunds, start = [], 0
    for cut in cuts:
        some = order[start:cut]
        paid = sum(one.gross_minor for one in some)
        refunds.append(
            RefundedItems(
                tuple((one.seat, one.gross_minor) for one in some),
                paid * percent // 100,
                cut == len(order),
            )
        )
        start = cut
    first, *corrections = documents(sale(*sold), *refunds)
    back = sum(refund.amount_minor for refund in refunds)
    assert sum(one.total.amount for one in corrections) == back <= first.total.amount
    for one in [first, *corrections]:
        for amount in ("gross", "net", "tax"):
            lines = sum(getattr(line, amount).amount for line in one.lines)
            assert lines == sum(getattr(tax, amount).amount for tax in one.taxes)
        assert one.total.amount == one.net.amount + one.tax.amount
        assert all(0 <= line.tax.amount <= line.gross.amount for line in one.lines)
    if percent == 100:
        assert sum(one.tax.amount for one in corrections) == first.tax.amount


def _tax(rate: int, gross_minor: int) -> QuotedLine:
    return QuotedLine("tax", "tax", 0, rate, gross_minor)


TWO = [("A1", "vip", "adult", 1000), ("A2", "regular", "child", 500)]
CARD = QuotedLine("fee", "Card", 50, 1900)
COAT = QuotedLine("fee", "Coat", 100, 700)
LESS = QuotedLine("promo", "SPRING", -200)


@pytest.mark.parametrize(
    ("lines", "rate"),
    [
        (None, 888),
        ([], 0),
        ([LESS, _tax(700, 1500)], 700),
        ([CARD, _tax(700, 1500), _tax(1900, 50)], 700),
        ([CARD, COAT, _tax(700, 1600), _tax(1900, 50)], 700),
        ([CARD, _tax(1900, 1550)], 1900),
        # Tickets without a tax, and a fee that has one.
        ([CARD, _tax(1900, 50)], 0),
    ],
)
def test_items_are_those_that_were_quoted(lines: list[QuotedLine] | None, rate: int) -> None:
    items = sold(TWO, lines, 888)
    fees = [line for line in lines or () if line.kind == "fee"]
    assert items == (
        Sold("seat", "A1", "vip", "adult", "", 1000, rate),
        Sold("seat", "A2", "regular", "child", "", 500, rate),
        *(Sold("fee", "", "", "", fee.name, fee.amount_minor, fee.rate) for fee in fees),
    )


def test_what_cost_nothing_has_no_rate() -> None:
    assert [one.rate for one in sold([("A1", "", "adult", 0)], [COAT, _tax(700, 100)], 0)] == [
        0,
        700,
    ]


def test_a_ticket_with_another_seat_is_given_back_as_it_was_sold() -> None:
    """`A1` was changed to `A2`, and that ticket's to `B7`: each is named by its line."""
    refund = RefundedItems((("B7", 1500),), 1200, whole=False, sold_as={"A2": "A1", "B7": "A2"})
    _, made = documents(sale(*seats(1000, 1200)), refund)
    assert [(line.seat, line.gross.amount) for line in made.lines] == [("A2", 1200)]


def more(
    *dearer: tuple[str, str, int], amount: int | None = None, sold_as: SoldAs | None = None
) -> Supplement:
    """Paid for these seats: the former one, the new one, and what it costs more."""
    return Supplement(
        seats=tuple(ChosenSeat(left, seat, "vip", "child", paid) for left, seat, paid in dearer),
        amount_minor=sum(paid for *_, paid in dearer) if amount is None else amount,
        payment_id=PAYMENT_ID,
        method="counter",
        sold_as=sold_as or {},
    )


def test_what_dearer_seats_cost_more_has_an_invoice_beside_that_of_the_booking() -> None:
    first, second = documents(sale(*seats(1000, 1000), rate=700), more(("A1", "B1", 214)))
    assert (second.kind, second.number, second.corrects) == ("invoice", "BER-2026-2", None)
    assert second.supplements is not None
    assert (second.supplements.id, second.supplements.number) == (first.id, first.number)
    assert (second.payment.id, second.payment.method) == (PAYMENT_ID, "counter")
    assert (second.total.amount, second.tax.amount) == (214, 14)
    (line,) = second.lines
    assert (line.seat, line.instead_of, line.category, line.type) == ("B1", "A1", "vip", "child")


def test_cheaper_seats_of_a_change_are_set_off_in_proportion() -> None:
    """Three seats cost 100, 200 and 300 more, and a fourth one 300 less."""
    dearer = ("A1", "B1", 100), ("A2", "B2", 200), ("A3", "B3", 300)
    _, second = documents(sale(*seats(500, 500, 500, 800)), more(*dearer, amount=300))
    assert [line.gross.amount for line in second.lines] == [50, 100, 150]


def test_a_ticket_that_was_changed_twice_is_named_by_the_seat_that_was_sold() -> None:
    again = more(("B1", "C1", 50), sold_as={"B1": "A1"})
    *_, third = documents(sale(*seats(500)), more(("A1", "B1", 100)), again)
    assert [(line.seat, line.instead_of) for line in third.lines] == [("C1", "A1")]


def test_a_dearer_seat_given_back_is_credited_of_both_its_invoices() -> None:
    refund = RefundedItems((("B1", 1250),), 1250, whole=False, sold_as={"B1": "A1"})
    first, second, *notes = documents(
        sale(*seats(1000, 1000), FEE), more(("A1", "B1", 250)), refund
    )
    assert [one.kind for one in notes] == ["credit_note", "credit_note"]
    assert [one.corrects.id for one in notes if one.corrects] == [first.id, second.id]
    assert [
        [(line.seat, line.instead_of, line.gross.amount) for line in one.lines] for one in notes
    ] == [[("A1", "", 1000)], [("B1", "A1", 250)]]


def test_a_changed_booking_given_back_as_a_whole_cancels_each_invoice() -> None:
    refund = RefundedItems((("B1", 1250), ("A2", 1000)), 2250, whole=True, sold_as={"B1": "A1"})
    first, second, *ended = documents(sale(*seats(1000, 1000)), more(("A1", "B1", 250)), refund)
    assert [(one.kind, one.number) for one in ended] == [
        ("cancellation", "BER-CX-2026-1"),
        ("cancellation", "BER-CX-2026-2"),
    ]
    assert [one.lines for one in ended] == [first.lines, second.lines]


def test_a_change_of_what_has_no_invoice_makes_that_first() -> None:
    one = sale(*seats(1000))
    at = desk(one)
    at.take(due(one, 9, more(("A1", "B1", 250))))
    assert [(made.document.total.amount, made.event_seq) for made in at.made] == [
        (1000, None),
        (250, 9),
    ]


@given(st.data())
def test_invoices_and_their_corrections_come_to_what_was_paid_and_not_given_back(
    data: st.DataObject,
) -> None:
    """Against two numbers: what was paid, and what went back, never more than that."""
    prices = data.draw(st.lists(st.integers(0, 2000), min_size=1, max_size=4))
    rate = data.draw(st.sampled_from([0, 700, 1900]))
    labels = {f"A{place}": f"A{place}" for place in range(1, len(prices) + 1)}
    paid, back, steps = sum(prices), 0, []
    for step in range(data.draw(st.integers(1, 6))):
        ticket = data.draw(st.sampled_from(sorted(labels)))
        seat = labels[ticket]
        sold_as = {now: sold for sold, now in labels.items() if sold != now}
        if data.draw(st.booleans()):
            amount = data.draw(st.integers(1, 900))
            labels[ticket] = f"N{step}"
            steps.append(more((seat, labels[ticket], amount), sold_as=sold_as))
            paid += amount
        else:
            amount = data.draw(st.integers(0, 3000))
            steps.append(RefundedItems(((seat, amount),), amount, whole=False, sold_as=sold_as))
            back = min(paid, back + amount)
    made = documents(sale(*seats(*prices, rate=rate)), *steps)
    invoices = [one for one in made if one.kind == "invoice"]
    others = [one for one in made if one.kind != "invoice"]
    assert sum(one.total.amount for one in invoices) == paid
    assert sum(one.total.amount for one in others) == back
    for invoice in invoices:
        of_it = [one for one in others if one.corrects and one.corrects.id == invoice.id]
        given = sum(one.total.amount for one in of_it)
        assert given <= invoice.total.amount
        tax = sum(one.tax.amount for one in of_it)
        assert 0 <= tax <= invoice.tax.amount
        if given == invoice.total.amount:
            assert tax == invoice.tax.amount


POPCORN = Sold("product", "", "", "", "2 × Popcorn", 1300, 1900)


def test_products_are_items_with_how_many_there_are() -> None:
    lines = [
        QuotedLine("fee", "Card", 50, 1900),
        QuotedLine("product", "Popcorn", 1300, 1900, 0, 2),
        QuotedLine("product", "Water", 100, 700),
        _tax(700, 1350),
        QuotedLine("tax", "other name", 0, 700, 0),
        _tax(1900, 1350),
    ]
    items = sold([("A1", "regular", "adult", 1250)], lines, 0)
    assert [(one.kind, one.name, one.gross_minor, one.rate) for one in items] == [
        ("seat", "", 1250, 700),
        ("fee", "Card", 50, 1900),
        ("product", "2 × Popcorn", 1300, 1900),
        ("product", "1 × Water", 100, 700),
    ]


@pytest.mark.parametrize(
    ("refund", "shares"),
    [
        # A part of the price of both, and all of what a policy gives.
        (RefundedItems((("A1", 1250),), 1275, True, products_minor=650), [625, 0, 650]),
        (RefundedItems((("A1", 1250),), 2550, True, products_minor=1300), [1250, 0, 1300]),
        # They were handed out: the fee goes back before them.
        (RefundedItems((("A1", 1250),), 1400, True), [1250, 150, 0]),
        (RefundedItems((("A1", 1250),), 1500, True), [1250, 150, 100]),
        # More of them than there is.
        (RefundedItems((("A1", 1250),), 2600, True, products_minor=9999), [1250, 50, 1300]),
    ],
)
def test_products_give_back_what_was_given_back_for_them(
    refund: RefundedItems, shares: list[int]
) -> None:
    _, note = documents(sale(*seats(1250), FEE, POPCORN), refund)
    given = {line.kind: line.gross.amount for line in note.lines}
    assert [given.get(kind, 0) for kind in ("seat", "fee", "product")] == shares


def test_a_booking_with_products_that_is_taken_back_as_a_whole_is_a_cancellation() -> None:
    refund = RefundedItems((("A1", 1250),), 2700, True, products_minor=1300)
    first, ended = documents(sale(*seats(1250), FEE, POPCORN), refund)
    assert (ended.kind, ended.total, ended.tax) == ("cancellation", first.total, first.tax)
