"""Posters over HTTP: uploaded by admins, shown to everybody; what is refused leaves nothing."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from PIL import Image

from cinema.features.catalog.poster_service import PostersService
from cinema.features.catalog.poster_store import UNUSED_KEPT, PostersRepository
from cinema.features.catalog.store import CatalogRepository
from cinema.http.limits import UPLOADS_AT_ONCE
from cinema.integrations.images import WIDTHS, UnusableImage
from cinema.integrations.objects import ObjectsUnavailable
from cinema.integrations.objects.folder import FolderObjects
from cinema.integrations.processes import Processes, ProcessTooSlow
from cinema.storage.database.transactions import Pool
from tests.e2e.api.house import Answer, House, open_house

LIMIT_MB = 1


@pytest.fixture
async def house(database: str, tmp_path: Any) -> AsyncIterator[House]:
    async with open_house(
        database, upload_dir=tmp_path / "uploads", max_upload_size_mb=LIMIT_MB
    ) as house:
        yield house


def picture(shade: int = 200) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (400, 600), (shade, 0, 0)).save(out, "JPEG")
    return out.getvalue()


async def upload(
    house: House,
    content: bytes,
    person: str | None = "admin",
    movie_id: str = "",
    key: str | None = None,
) -> Answer:
    form = aiohttp.FormData()
    form.add_field("file", io.BytesIO(content), filename="a.png", content_type="image/png")
    headers = {} if person is None else {"Authorization": f"Bearer {house.token(person)}"}
    if key is not None:
        headers["Idempotency-Key"] = key
    path = f"movies/{movie_id or house.movie_id}/poster"
    async with house.client.post(path, data=form, headers=headers) as reply:
        return Answer(reply.status, reply.headers, await reply.json())


def stored(tmp_path: Any) -> list[str]:
    folder = tmp_path / "uploads"
    return sorted(path.name for path in folder.glob("*"))


async def test_a_poster_is_uploaded_and_shown(house: House, tmp_path: Any) -> None:
    content = picture()
    digest = hashlib.sha256(content).hexdigest()
    answer = await upload(house, content, key="one poster")
    assert answer.status == 200
    assert answer.data["poster_url"] == f"/media/{digest}-780.webp"
    assert answer.headers["ETag"] == '"2"'
    assert (await upload(house, content, key="one poster")).data == answer.data
    assert (await house.ask(None, "GET", f"movies/{house.movie_id}")).data == answer.data
    assert stored(tmp_path) == sorted(f"{digest}-{width}.webp" for width in WIDTHS)
    for width in WIDTHS:
        url = f"http://127.0.0.1:{house.port}/media/{digest}-{width}.webp"
        async with house.client.get(url) as shown:
            assert shown.headers["Content-Type"] == "image/webp"
            assert shown.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert shown.headers["X-Content-Type-Options"] == "nosniff"
            tag, body = shown.headers["ETag"], await shown.read()
        assert Image.open(io.BytesIO(body)).width == width
        async with house.client.get(url, headers={"If-None-Match": tag}) as known:
            assert (known.status, await known.read()) == (304, b"")
    for name in (f"{digest}-781.webp", f"{digest[1:]}-780.webp", "..%2F..%2Fetc%2Fpasswd", "x"):
        async with house.client.get(f"http://127.0.0.1:{house.port}/media/{name}") as nothing:
            assert nothing.status == 404


async def test_the_address_of_a_poster_is_kept_by_a_change_of_the_film(house: House) -> None:
    url = (await upload(house, picture())).data["poster_url"]
    film = {"title": "Film", "runtime_minutes": 90, "poster_url": url}
    seen = {"If-Match": '"2"'}
    path = f"movies/{house.movie_id}"
    assert (await house.ask("admin", "PUT", path, film, headers=seen)).data["poster_url"] == url
    seen = {"If-Match": '"3"'}
    unknown = {**film, "poster_url": f"/media/{'0' * 64}-780.webp"}
    refused = await house.ask("admin", "PUT", path, unknown, headers=seen)
    assert refused.error == (422, "UNKNOWN_REFERENCE")


async def test_what_is_refused_leaves_no_file(house: House, tmp_path: Any) -> None:
    for content, error in (
        (b"<svg/>", (422, "UNUSABLE_IMAGE")),
        (picture()[:-400], (422, "UNUSABLE_IMAGE")),
        (b"", (400, "VALIDATION_ERROR")),
        (os.urandom((LIMIT_MB << 20) + 1), (413, "PAYLOAD_TOO_LARGE")),
        (os.urandom((LIMIT_MB << 20) + 100_000), (413, "PAYLOAD_TOO_LARGE")),
    ):
        answer = await upload(house, content)
        assert answer.error == error
    assert answer.details == {"limit_bytes": LIMIT_MB << 20}
    just_fits = await upload(house, b"\xff\xd8\xff" + os.urandom((LIMIT_MB << 20) - 3))
    assert just_fits.details == {"reason": "DAMAGED"}
    assert (await upload(house, picture(), None)).error == (401, "UNAUTHENTICATED")
    assert (await upload(house, picture(), "manager")).error == (403, "FORBIDDEN")
    nowhere = "019a0c1e-7000-7000-8000-0000000000ff"
    assert (await upload(house, picture(), movie_id=nowhere)).error == (404, "NOT_FOUND")
    path = f"movies/{house.movie_id}/poster"
    refused = await house.ask("admin", "POST", path, {"file": "x"})
    assert refused.error == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert stored(tmp_path) == []
    assert (await house.ask(None, "GET", f"movies/{house.movie_id}")).data["version"] == 1


HEAD = (
    b"POST /api/v1/movies/%b/poster HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n"
    b"Content-Type: multipart/form-data; boundary=xyz\r\nContent-Length: %d\r\n\r\n"
)
PART = b'--xyz\r\nContent-Disposition: form-data; name="file"\r\n\r\n'


async def sent(house: House, length: int, body: bytes, *, then_close: bool) -> bytes:
    """What the server answers to bytes that are no whole request, or more than one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    head = HEAD % (house.movie_id.encode(), house.token("admin").encode(), length)
    writer.write(head + body)
    if then_close:
        writer.write_eof()
    answer = await reader.read(1 << 16)
    writer.close()
    await writer.wait_closed()
    return answer


async def test_an_upload_that_is_cut_or_too_long_leaves_no_file(
    house: House, tmp_path: Any
) -> None:
    whole = PART + picture() + b"\r\n--xyz--\r\n"
    cut = await sent(house, len(whole), whole[:-500], then_close=True)
    assert cut == b"" or cut.startswith(b"HTTP/1.1 400 ")
    longer = await sent(house, len(whole) - 20, whole, then_close=False)
    assert longer.startswith(b"HTTP/1.1 400 ")
    told_too_much = await sent(house, 1 << 30, b"", then_close=False)
    assert told_too_much.startswith(b"HTTP/1.1 413 ")
    assert stored(tmp_path) == []


async def test_a_few_uploads_arrive_at_a_time(house: House, tmp_path: Any) -> None:
    whole = PART + picture() + b"\r\n--xyz--\r\n"
    opened = []
    for _ in range(UPLOADS_AT_ONCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        head = HEAD % (house.movie_id.encode(), house.token("admin").encode(), len(whole))
        writer.write(head + whole[:100])
        opened.append((reader, writer))
    while (await upload(house, picture())).status != 503:
        pass
    for _, writer in opened:
        writer.write(whole[100:])
    answers = [await reader.read(1 << 16) for reader, _ in opened]
    assert {answer[9:12] for answer in answers} == {b"200"}
    for _, writer in opened:
        writer.close()
    assert len(stored(tmp_path)) == len(WIDTHS)


class Parts:
    """The service of posters over a folder, with what goes wrong put in between."""

    def __init__(self, pool: Pool, folder: Any) -> None:
        self.now = datetime(2026, 5, 20, tzinfo=UTC)
        self.objects = FolderObjects(folder)
        self.service = PostersService(
            CatalogRepository(pool),
            PostersRepository(pool),
            self,
            self,
            now=lambda: self.now,
        )
        self.failing: Callable[[], None] = lambda: None

    async def make(self, content: bytes) -> list[bytes]:
        if not content:
            raise UnusableImage("DAMAGED", "This file is damaged or cut off.")
        return [content] * len(WIDTHS)

    async def put(self, name: str, content: bytes, media_type: str) -> None:
        self.failing()
        await self.objects.put(name, content, media_type)

    async def get(self, name: str) -> bytes | None:
        return await self.objects.get(name)

    async def delete(self, name: str) -> None:
        self.failing()
        await self.objects.delete(name)


def unavailable() -> None:
    raise ObjectsUnavailable("away")


async def test_posters_that_no_film_shows_are_deleted_after_a_while(
    pool: Pool, tmp_path: Any
) -> None:
    from cinema.domain.principal import Principal
    from cinema.domain.rejections import Refused
    from cinema.features.catalog.shapes import MovieInput

    parts = Parts(pool, tmp_path / "uploads")
    catalog = CatalogRepository(pool)
    admin = Principal(bytes(16), "admin", bytes(16), 0.0)
    from uuid import UUID

    movie = await catalog.add_movie(
        UUID(int=7), MovieInput(title="M", runtime_minutes=1), parts.now, None
    )
    await parts.service.set_poster(admin, movie.id, b"first")
    parts.failing = unavailable
    with pytest.raises(Refused) as caught:
        await parts.service.set_poster(admin, movie.id, b"never")
    assert caught.value.rejection.code == "RETRY"
    parts.failing = lambda: None
    await parts.service.set_poster(admin, movie.id, b"second")
    assert await parts.service.sweep(parts.now + UNUSED_KEPT, 1000) == 0
    late = parts.now + UNUSED_KEPT + timedelta(seconds=1)
    parts.failing = unavailable
    with pytest.raises(Refused):
        await parts.service.sweep(late, 1000)
    parts.failing = lambda: None
    assert await parts.service.sweep(late, 1000) == 2
    digest = hashlib.sha256(b"second").hexdigest()
    assert stored(tmp_path) == sorted(f"{digest}-{width}.webp" for width in WIDTHS)
    assert await pool.fetchval("select string_agg(digest, '') from posters") == digest


async def test_a_machine_that_is_too_busy_for_a_picture_says_when_to_come_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def too_slow(self: Processes, content: bytes) -> bytes:
        raise ProcessTooSlow("it took too long")

    monkeypatch.setattr(Processes, "answer", too_slow)
    refused = await upload(house, picture())
    assert refused.error == (503, "OVERLOADED")
    assert int(refused.headers["Retry-After"]) >= 1
