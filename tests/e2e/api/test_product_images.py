"""Pictures of products: uploaded by managers, shown with what customers can buy."""

from __future__ import annotations

import hashlib
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from PIL import Image

from cinema.features.catalog.poster_store import UNUSED_KEPT, PostersRepository
from cinema.storage.database.transactions import Pool
from tests.e2e.api.house import UNKNOWN_ID, Answer, House, open_house

pytestmark = pytest.mark.asyncio(loop_scope="function")


@pytest_asyncio.fixture(loop_scope="function")
async def house(database: str, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(database, upload_dir=tmp_path / "uploads") as house:
        yield house


def picture(shade: int = 200) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (400, 300), (shade, 0, 0)).save(out, "JPEG")
    return out.getvalue()


def address(content: bytes) -> str:
    return f"/media/{hashlib.sha256(content).hexdigest()}-780.webp"


async def product(house: House) -> dict[str, Any]:
    body = {"cinema_id": house.cinema_id, "name": "Popcorn", "price": 450}
    return dict((await house.ask("manager", "POST", "concessions", body)).data)


async def upload(
    house: House, product_id: str, content: bytes, person: str = "manager", key: str | None = None
) -> Answer:
    form = aiohttp.FormData()
    form.add_field("file", io.BytesIO(content), filename="a.jpg", content_type="image/jpeg")
    headers = {"Authorization": f"Bearer {house.token(person)}"}
    if key is not None:
        headers["Idempotency-Key"] = key
    path = f"concessions/{product_id}/image"
    async with house.client.post(path, data=form, headers=headers) as reply:
        return Answer(reply.status, reply.headers, await reply.json())


async def on_sale(house: House) -> list[dict[str, Any]]:
    answer = await house.ask(None, "GET", f"cinemas/{house.cinema_id}/concessions")
    return list(answer.data)


async def test_a_picture_is_uploaded_shown_and_taken_away(house: House) -> None:
    made = await product(house)
    assert made["image_url"] is None
    content = picture()
    answer = await upload(house, made["id"], content, key="one")
    assert answer.status == 200, answer
    assert answer.data == made | {"image_url": address(content), "version": 2}
    assert answer.headers["ETag"] == '"2"'
    assert (await upload(house, made["id"], content, key="one")).data == answer.data
    assert [one["image_url"] for one in await on_sale(house)] == [address(content)]
    async with house.client.get(f"http://127.0.0.1:{house.port}{address(content)}") as shown:
        assert shown.headers["Content-Type"] == "image/webp"
        assert Image.open(io.BytesIO(await shown.read())).width == 780
    fields = {"name": "Popcorn, large", "price": 650}
    path = f"concessions/{made['id']}"
    changed = await house.ask("manager", "PUT", path, fields, headers={"If-Match": '"2"'})
    assert changed.data["image_url"] == address(content), "a change of the rest leaves it"
    for _ in range(2):
        gone = await house.ask("manager", "DELETE", f"{path}/image")
        assert (gone.status, gone.data["image_url"], gone.data["version"]) == (200, None, 4)
    assert [one["image_url"] for one in await on_sale(house)] == [None]


async def test_who_may_not_and_what_is_no_picture_is_refused(house: House) -> None:
    made = await product(house)
    for person in ("ada", "staff", "manager elsewhere"):
        refused = await upload(house, made["id"], picture(), person)
        assert refused.error == (403, "FORBIDDEN"), person
        taken = await house.ask(person, "DELETE", f"concessions/{made['id']}/image")
        assert taken.error == (403, "FORBIDDEN"), person
    assert (await upload(house, made["id"], b"<svg/>")).error == (422, "UNUSABLE_IMAGE")
    assert (await upload(house, UNKNOWN_ID, picture())).error == (404, "NOT_FOUND")
    assert [one["image_url"] for one in await on_sale(house)] == [None]


async def test_a_picture_is_kept_as_long_as_a_product_shows_it(house: House, pool: Pool) -> None:
    made = await product(house)
    await upload(house, made["id"], picture())
    deleted: list[str] = []

    async def delete(digest: str) -> None:
        deleted.append(digest)

    posters = PostersRepository(pool)
    late = datetime.now(UTC) + UNUSED_KEPT + timedelta(days=1)
    assert await posters.sweep(late, 100, delete) == 0
    headers = {"If-Match": '"2"'}
    gone = await house.ask("manager", "DELETE", f"concessions/{made['id']}", headers=headers)
    assert gone.status == 200
    assert await posters.sweep(late, 100, delete) == 1
    assert deleted == [hashlib.sha256(picture()).hexdigest()]
