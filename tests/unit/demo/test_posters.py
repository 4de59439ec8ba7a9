"""The posters of the demo: one for each film, all different, with the title in type."""

from __future__ import annotations

import io

import pytest
from PIL import Image, ImageChops

from cinema.demo import posters as room
from cinema.demo.catalog import FILMS, DemoFilm
from cinema.integrations.images import WIDTHS

THUMB = (39, 58)


def test_each_film_has_a_picture_that_is_unlike_the_others() -> None:
    thumbs = [room.drawn(film).resize(THUMB) for film in FILMS]
    for at, one in enumerate(thumbs):
        for other in thumbs[:at]:
            apart = ImageChops.difference(one, other).convert("L")
            assert sum(apart.tobytes()) / (THUMB[0] * THUMB[1]) > 8


def test_pictures_have_the_widths_and_form_of_posters_and_are_the_same_each_time() -> None:
    made = room.posters(FILMS[0])
    opened = [Image.open(io.BytesIO(one)) for one in made]
    assert [one.size for one in opened] == [(width, width * 3 // 2) for width in WIDTHS]
    assert {one.format for one in opened} == {"WEBP"}
    assert room.posters(FILMS[0]) == made


@pytest.mark.parametrize("film", FILMS, ids=[film.title for film in FILMS])
def test_the_title_is_there_and_keeps_within_the_margins(
    film: DemoFilm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the motif, only the type differs from the sky."""
    style = room.STYLES[film.title]._replace(motif=lambda *_: None)
    monkeypatch.setitem(room.STYLES, film.title, style)
    written = room.drawn(film)
    monkeypatch.setattr(room, "set_type", lambda *_: None)
    box = ImageChops.difference(written, room.drawn(film)).getbbox()
    assert box is not None
    left, top, right, bottom = box
    assert left >= 100
    assert right <= room.WIDTH - 100
    assert room.HEIGHT / 2 < top < bottom < room.HEIGHT - 40
    assert right - left > room.WIDTH / 2
