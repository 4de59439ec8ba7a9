"""A form with one file: what is taken out of it, and every other form."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from cinema.domain.rejections import Refused
from cinema.http.connections.upload import boundary_of, file_of

HEAD = b'Content-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: image/png'


def form(
    content: bytes, *, head: bytes = HEAD, boundary: bytes = b"xyz", more: bytes = b""
) -> bytes:
    return b"--%b\r\n%b\r\n\r\n%b\r\n%b--%b--\r\n" % (boundary, head, content, more, boundary)


def refusal(body: bytes) -> str:
    with pytest.raises(Refused) as caught:
        file_of(body, b"xyz")
    rejection = caught.value.rejection
    assert rejection.details == {"path": "$.file"}
    return f"{rejection.code}: {rejection.message}"


@given(st.binary(min_size=1))
def test_a_file_comes_out_as_it_went_in(content: bytes) -> None:
    boundary = b"----x7MA4YWxkTrZu0gW"
    if b"\r\n--" + boundary not in b"\r\n" + content + b"\r\n":
        assert file_of(form(content, boundary=boundary), boundary) == content


def test_what_clients_add_is_borne() -> None:
    for head in (
        HEAD.lower().replace(b'"a.png"', b'"\xc3\xa4.png"'),
        b'Content-Disposition: form-data; filename="x"; name=file',
        HEAD + b"\r\nContent-Transfer-Encoding: binary\r\nContent-Length: 1",
    ):
        assert file_of(form(b"1", head=head), b"xyz") == b"1"
    assert file_of(form(b"1").replace(b"xyz\r\n", b"xyz  \r\n", 1), b"xyz") == b"1"
    assert file_of(form(b"\r\n1\r\n\r\n2"), b"xyz") == b"\r\n1\r\n\r\n2"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--xyz--\r\n",
        b"--xyz\r\n",
        form(b"1")[:-8],
        b"preamble\r\n" + form(b"1"),
        form(b"1", more=b"--xyz\r\n" + HEAD + b"\r\n\r\n2\r\n"),
        form(b""),
        form(b"1", head=b"X: y"),
        form(b"1", head=HEAD.replace(b'"file"', b'"poster"')),
        form(b"1", head=HEAD.replace(b"form-data", b"attachment")),
        form(b"1", head=HEAD + b"\r\nContent-Transfer-Encoding: base64"),
        form(b"1", head=HEAD + b"\r\nX: " + b"y" * 5000),
        b"--xyzContent\r\n\r\n1\r\n--xyz--",
        b"--xyz\r\nno end of the header\r\n--xyz--",
    ],
)
def test_other_forms_are_refused(body: bytes) -> None:
    assert refusal(body).startswith("VALIDATION_ERROR: ")


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(garbage: bytes) -> None:
    for body in (garbage, b"--xyz\r\n" + garbage, b"--xyz" + garbage + b"\r\n--xyz--"):
        try:
            file_of(body, b"xyz")
        except Refused:
            continue


class Request:
    def __init__(self, **headers: str) -> None:
        self.headers = CIMultiDict({name.replace("_", "-"): text for name, text in headers.items()})


def boundary(**headers: str) -> bytes:
    return boundary_of(cast("Any", Request(**headers)))


def test_the_boundary_is_taken_from_the_head() -> None:
    assert boundary(Content_Type="multipart/form-data; boundary=xyz") == b"xyz"
    assert boundary(Content_Type='Multipart/Form-Data; charset=utf-8; boundary="a b"') == b"a b"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content_Type": "application/json"},
        {"Content_Type": "image/png"},
        {"Content_Type": "multipart/mixed; boundary=x"},
        {"Content_Type": "multipart/form-data"},
        {"Content_Type": "multipart/form-data; boundary="},
        {"Content_Type": f"multipart/form-data; boundary={'x' * 71}"},
        {"Content_Type": "multipart/form-data; boundary=ä"},
        {"Content_Type": "multipart/form-data; boundary=x", "Content_Encoding": "gzip"},
    ],
)
def test_other_media_types_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(Refused) as caught:
        boundary(**headers)
    assert caught.value.rejection.code == "UNSUPPORTED_MEDIA_TYPE"
