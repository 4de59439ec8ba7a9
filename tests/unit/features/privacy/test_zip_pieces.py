"""A zip in pieces is the zip that it would be in one."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from cinema.features.privacy.zip_pieces import ZipPieces

AT = datetime(2026, 6, 1, 17, 31, 8, tzinfo=UTC)


def pieces_of(files: dict[str, list[bytes]], piece_bytes: int) -> list[bytes]:
    taken: list[bytes] = []
    with ZipPieces(piece_bytes, AT) as zipped:
        for name, parts in files.items():
            zipped.begin(name)
            for part in parts:
                zipped.write(part)
                taken += zipped.full()
            zipped.end()
        return [*taken, *zipped.close()]


@given(
    files=st.dictionaries(
        st.text("abcdefg.", min_size=1, max_size=8), st.lists(st.binary(max_size=400), max_size=5)
    ),
    piece_bytes=st.integers(1, 300),
)
def test_pieces_end_to_end_are_a_zip_of_all_files(
    files: dict[str, list[bytes]], piece_bytes: int
) -> None:
    pieces = pieces_of(files, piece_bytes)
    assert {len(piece) for piece in pieces[:-1]} <= {piece_bytes}
    assert 1 <= len(pieces[-1]) <= piece_bytes
    with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as unzipped:
        assert unzipped.testzip() is None
        assert {name: unzipped.read(name) for name in unzipped.namelist()} == {
            name: b"".join(parts) for name, parts in files.items()
        }


def test_one_that_ends_with_a_full_piece_has_no_empty_one_behind_it() -> None:
    (whole,) = pieces_of({"a.json": [b"[]"]}, 10_000)
    assert pieces_of({"a.json": [b"[]"]}, len(whole)) == [whole]


def test_one_that_is_given_up_within_a_file_is_let_go() -> None:
    with ZipPieces(10, AT) as zipped:
        zipped.begin("a.json")
        zipped.write(b"[")


def test_files_are_dated_and_for_their_owner_only() -> None:
    (whole,) = pieces_of({"a.json": [b"[]"]}, 10_000)
    with zipfile.ZipFile(io.BytesIO(whole)) as unzipped:
        (info,) = unzipped.infolist()
    assert info.date_time == (2026, 6, 1, 17, 31, 8)
    assert info.external_attr >> 16 == 0o600
    assert info.compress_type == zipfile.ZIP_DEFLATED
