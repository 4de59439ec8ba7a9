"""Paths and where they lead."""

from __future__ import annotations

import pytest

from cinema.domain.ids import parse_id
from cinema.http.routing import Match, Router, allowed_methods

ID = "019A0C1E-7000-7000-8000-0000000000E1"
OTHER = "019a0c1e-7000-7000-8000-0000000000f2"


@pytest.fixture
def router() -> Router[str]:
    table: Router[str] = Router("showtime_id")
    table.add("GET", "/movies", "list")
    table.add("POST", "/movies", "create")
    table.add("GET", "/movies/{movie_id}", "get")
    table.add("GET", "/movies/best", "best")
    table.add("DELETE", "/showtimes/{showtime_id}/holds/{hold_id}", "release")
    table.add("GET", "/static/{name:text}", "static")
    table.add("GET", "/", "root")
    return table


def found(router: Router[str], method: str, target: str) -> Match[str]:
    match = router.find(method, target)
    assert isinstance(match, Match)
    return match


def test_ids_arrive_raw_and_in_order(router: Router[str]) -> None:
    match = found(router, "DELETE", f"/showtimes/{ID}/holds/{OTHER}?seats=A1")
    assert match.target == "release"
    assert match.params == (parse_id(ID), parse_id(OTHER))
    assert match.subject_id == ID.lower()


def test_literal_segment_wins_over_parameter(router: Router[str]) -> None:
    assert found(router, "GET", "/movies/best").target == "best"


@pytest.mark.parametrize("bad", ["7", ID + "0", ID.replace("-", ""), "{" + ID[1:], "%00", "ü"])
def test_id_that_is_no_uuid_leads_nowhere(router: Router[str], bad: str) -> None:
    assert router.find("GET", f"/movies/{bad}") is None


@pytest.mark.parametrize("target", ["/nope", "/movies/best/more", "//movies", "*", "", "movies"])
def test_unknown_path_leads_nowhere(router: Router[str], target: str) -> None:
    assert router.find("GET", target) is None


def test_wrong_method_names_the_right_ones(router: Router[str]) -> None:
    methods = router.find("PUT", "/movies")
    assert not isinstance(methods, Match)
    assert methods is not None
    assert allowed_methods(methods) == "GET, HEAD, OPTIONS, POST"


def test_head_is_answered_by_get(router: Router[str]) -> None:
    assert found(router, "HEAD", "/movies").target == "list"


@pytest.mark.parametrize("target", ["/movies/", "/movies/?x=1", "/%6dovies"])
def test_one_trailing_slash_and_escapes_do_not_matter(router: Router[str], target: str) -> None:
    assert found(router, "GET", target).target == "list"


def test_root_is_a_path(router: Router[str]) -> None:
    assert found(router, "GET", "/").target == "root"


def test_text_parameter_takes_anything_but_a_slash(router: Router[str]) -> None:
    assert found(router, "GET", "/static/%C3%BC.css").params == ("ü.css".encode(),)
    assert found(router, "GET", "/static/\udcff").params == (b"?",)


def test_second_target_for_the_same_call_is_refused(router: Router[str]) -> None:
    with pytest.raises(ValueError, match="twice"):
        router.add("GET", "/movies/{other_id}", "again")


def test_segment_is_either_an_id_or_text(router: Router[str]) -> None:
    with pytest.raises(ValueError, match="both"):
        router.add("GET", "/movies/{name:text}/x", "again")
