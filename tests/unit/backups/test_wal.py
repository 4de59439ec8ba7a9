"""Names of log, and how far segments reach along a history."""

from __future__ import annotations

import pytest

from cinema.backups.errors import BackupError
from cinema.backups.wal import (
    Branch,
    Reach,
    Segment,
    format_lsn,
    lineage,
    parse_history_name,
    parse_lsn,
    parse_segment,
    reach,
    segment_name,
)

SIZE = 16 << 20


def whole(timeline: int, *numbers: int) -> list[Segment]:
    return [Segment(timeline, number, partial=False) for number in numbers]


def test_positions_are_read_and_written_as_postgres_does() -> None:
    assert parse_lsn("16/B374D848") == 0x16B374D848
    assert format_lsn(0x16B374D848) == "16/B374D848"
    with pytest.raises(BackupError, match="not a position"):
        parse_lsn("nonsense")


@pytest.mark.parametrize("size_mib", [1, 16, 1024])
def test_a_segments_name_says_what_it_is(size_mib: int) -> None:
    size = size_mib << 20
    for number in (0, 1, 255, 256, 5000):
        name = segment_name(7, number, size)
        assert parse_segment(name, size) == Segment(7, number, partial=False)
        assert parse_segment(f"{name}.partial", size) == Segment(7, number, partial=True)


def test_names_are_those_of_postgres() -> None:
    assert segment_name(1, 3, SIZE) == "000000010000000000000003"
    assert segment_name(2, 256, SIZE) == "000000020000000100000000"


@pytest.mark.parametrize("name", ["00000002.history", "status.json", "00000001000000000000000g"])
def test_other_files_are_no_segments(name: str) -> None:
    assert parse_segment(name, SIZE) is None


def test_history_files_name_their_timeline() -> None:
    assert parse_history_name("0000000A.history") == 10
    assert parse_history_name("0000000A.history.new") is None


def test_the_first_timeline_has_no_history() -> None:
    assert lineage(1, "") == [Branch(timeline=1, begins=0, ends=None)]


def test_a_history_tells_where_each_branch_ends() -> None:
    text = "1\t0/5000108\tno recovery target specified\n\n2\t0/7000000\tbefore 2026\n"
    assert lineage(5, text) == [
        Branch(timeline=1, begins=0, ends=0x5000108),
        Branch(timeline=2, begins=0x5000108, ends=0x7000000),
        Branch(timeline=5, begins=0x7000000, ends=None),
    ]


def test_a_damaged_history_is_refused() -> None:
    with pytest.raises(BackupError, match="damaged"):
        lineage(2, "what is this")


def test_segments_reach_up_to_the_first_hole() -> None:
    line = lineage(1, "")
    assert reach(whole(1, 3, 4, 5), line, 3, SIZE) == Reach(5, None)
    assert reach(whole(1, 3, 4, 6, 7), line, 3, SIZE) == Reach(4, 6)
    assert reach(whole(1, 4, 5), line, 3, SIZE) == Reach(2, 4)
    assert reach(whole(1, 1, 2), line, 3, SIZE) == Reach(2, None)


def test_the_segment_being_received_counts() -> None:
    segments = [*whole(1, 3), Segment(1, 4, partial=True)]
    assert reach(segments, lineage(1, ""), 3, SIZE) == Reach(4, None)


def test_only_the_branches_of_the_history_count() -> None:
    line = lineage(2, f"1\t{format_lsn(4 * SIZE + 100)}\tbefore")
    # Timeline 1 went on to 6 in a future that was given up; 2 has its own 4.
    assert reach(whole(1, 3, 4, 5, 6), line, 3, SIZE) == Reach(3, None)
    assert reach([*whole(1, 3, 4, 5, 6), *whole(2, 5)], line, 3, SIZE) == Reach(3, 5)
    assert reach([*whole(1, 3, 4, 5, 6), *whole(2, 4, 5)], line, 3, SIZE) == Reach(5, None)
    assert reach([*whole(1, 3), *whole(2, 3, 4)], line, 3, SIZE) == Reach(4, None)
    assert reach(whole(2, 2, 3), line, 3, SIZE) == Reach(2, None)
