"""Routes of posters."""

from __future__ import annotations

from typing import Final

from cinema.domain.principal import ADMIN
from cinema.features.catalog import examples
from cinema.features.catalog.poster_service import MEDIA_TYPE, PostersService
from cinema.features.catalog.shapes import Movie
from cinema.http.conditional import tagged, version_tag
from cinema.http.connections.upload import Upload
from cinema.http.context import RequestContext
from cinema.http.responses import Medium, Reply, header_lines, success
from cinema.http.routes import Operation

TAG: Final = "Movies"

PICTURE: Final = Medium(
    content_type=MEDIA_TYPE, cache_control="public, max-age=31536000, immutable"
)


@Operation(
    method="POST",
    path="/api/v1/movies/{movie_id}/poster",
    operation_id="setPoster",
    summary="Give a film a poster",
    description="A form with the field `file`: one JPEG, PNG or WebP picture, of at most "
    "`MAX_UPLOAD_SIZE_MB` and 40 megapixels (25 as WebP, which takes more memory), at least 342 "
    "pixels wide and not more than 4 times as long as wide. WebP pictures of it are made, 342, 780 "
    "and 1560 pixels wide, without what the file tells beside them (place, camera). `poster_url` "
    "names the middle one; the others have the same name with another width.",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN}),
    request=Upload,
    response=Movie,
    response_example=examples.MOVIE_WITH_POSTER,
    etag=True,
    errors=("UNUSABLE_IMAGE", "RETRY", "OUTCOME_UNKNOWN"),
    idempotent=True,
)
async def set_poster(posters: PostersService, context: RequestContext) -> Reply:
    """Give a film a poster."""
    (movie_id,) = context.ids
    movie = await posters.set_poster(
        context.principal, movie_id, context.body.content, context.request_key
    )
    return success(movie, extra=header_lines(etag=version_tag(movie.version, *movie.beside)))


@Operation(
    method="GET",
    path="/media/{name:text}",
    operation_id="getPicture",
    summary="A picture of a film or a product",
    description="Its name is that in `poster_url` or `image_url`. What it shows never changes.",
    tag=TAG,
    media_type=MEDIA_TYPE,
    etag=True,
    errors=("RETRY",),
)
async def get_picture(posters: PostersService, context: RequestContext) -> Reply:
    """A poster's picture."""
    name = context.params[0].decode()
    picture = await posters.picture(name)
    return tagged(context.request, f'"{name}"', picture, PICTURE)


ROUTES: Final = (set_poster, get_picture)
