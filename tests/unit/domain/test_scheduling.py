from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from cinema.domain.limits_catalog import ADS_MINUTES, CLEANING_MINUTES
from cinema.features.showtimes.rules import timetable

ADS, CLEANING = timedelta(minutes=ADS_MINUTES), timedelta(minutes=CLEANING_MINUTES)

BERLIN = ZoneInfo("Europe/Berlin")


def test_end_follows_from_the_runtime_and_the_advertisements() -> None:
    start = datetime(2026, 6, 1, 18, 0, tzinfo=UTC)
    times = timetable(start, 175, BERLIN)
    assert times.ends_at == start + ADS + timedelta(minutes=175)
    assert times.clear_at == times.ends_at + CLEANING


def test_advertisements_and_cleaning_take_what_the_cinema_says() -> None:
    start = datetime(2026, 6, 1, 18, 0, tzinfo=UTC)
    times = timetable(start, 100, BERLIN, ads_minutes=0, cleaning_minutes=40)
    assert times.ends_at == start + timedelta(minutes=100)
    assert times.clear_at == start + timedelta(minutes=140)


def test_day_is_the_one_on_the_cinemas_wall() -> None:
    late = datetime(2026, 6, 1, 22, 30, tzinfo=UTC)
    assert timetable(late, 100, BERLIN).local_date == date(2026, 6, 2)
    assert timetable(late, 100, ZoneInfo("America/New_York")).local_date == date(2026, 6, 1)


def test_film_over_the_end_of_summer_time_keeps_its_length() -> None:
    start = datetime(2026, 10, 24, 23, 30, tzinfo=UTC)
    times = timetable(start, 120, BERLIN)
    assert times.ends_at - times.starts_at == ADS + timedelta(minutes=120)
    assert times.ends_at.astimezone(BERLIN).hour == 2


def test_sales_have_defaults_that_a_request_replaces() -> None:
    start = datetime(2026, 6, 1, 18, 0, tzinfo=UTC)
    usual = timetable(start, 100, BERLIN)
    assert usual.sales_opens_at == start - timedelta(days=30)
    assert usual.sales_closes_at == start + timedelta(minutes=15)
    opens, closes = start - timedelta(days=1), start
    own = timetable(start, 100, BERLIN, sales_opens_at=opens, sales_closes_at=closes)
    assert (own.sales_opens_at, own.sales_closes_at) == (opens, closes)
