"""One suite over all stores of objects: a folder, and a bucket of moto's S3."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from obstore.store import S3Store

from cinema.integrations.objects import ObjectStore, ObjectsUnavailable
from cinema.integrations.objects.folder import ABANDONED_S, PART, FolderObjects
from cinema.integrations.objects.s3 import S3Objects

NAME = f"{'ab' * 32}-780.webp"
KEYS = {"access_key_id": "test", "secret_access_key": "test"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The address of an S3 with the bucket `posters`."""
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    yield address
    server.stop()


@pytest.fixture(params=["folder", "s3"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, endpoint: str) -> ObjectStore:
    if request.param == "folder":
        return FolderObjects(tmp_path / "uploads")
    await create_bucket(endpoint, "posters")
    return S3Objects("s3://posters/some/where/", endpoint=endpoint, **KEYS)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def create_bucket(endpoint: str, name: str) -> None:
    import aiohttp

    async with aiohttp.ClientSession() as client, client.put(f"{endpoint}/{name}") as made:
        assert made.status in {200, 409}


async def test_what_is_put_is_got_until_it_is_deleted(store: ObjectStore) -> None:
    assert await store.get(NAME) is None
    await store.delete(NAME)
    content = os.urandom(300_000)
    await store.put(NAME, content, "image/webp")
    await store.put(NAME, content, "image/webp")
    assert await store.get(NAME) == content
    await store.delete(NAME)
    await store.delete(NAME)
    assert await store.get(NAME) is None


async def test_several_may_put_the_same_at_once(store: ObjectStore) -> None:
    await asyncio.gather(*(store.put(NAME, b"same", "image/webp") for _ in range(8)))
    assert await store.get(NAME) == b"same"


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a" * 200, "A.webp", "a..b"])
async def test_names_lead_nowhere_else(store: ObjectStore, name: str) -> None:
    for call in (store.get(name), store.put(name, b"1", "image/webp"), store.delete(name)):
        with pytest.raises(ValueError, match="not the name of an object"):
            await call


async def test_a_bucket_keeps_the_media_type_below_its_prefix(endpoint: str) -> None:
    await create_bucket(endpoint, "posters")
    await S3Objects("s3://posters/deep/er", endpoint=endpoint, **KEYS).put(NAME, b"1", "image/webp")
    bucket = S3Store(
        "posters",
        endpoint=endpoint,
        region="us-east-1",
        client_options={"allow_http": True},
        **KEYS,
    )
    found = await bucket.get_async(f"deep/er/{NAME}")
    assert found.attributes["Content-Type"] == "image/webp"


async def test_a_store_that_is_away_or_refuses_is_unavailable(
    endpoint: str, tmp_path: Path
) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    for store in (
        S3Objects("s3://nowhere", endpoint=endpoint, **KEYS),
        FolderObjects(in_the_way),
    ):
        with pytest.raises(ObjectsUnavailable):
            await store.put(NAME, b"1", "image/webp")
    with pytest.raises(ObjectsUnavailable):
        await FolderObjects(in_the_way).get(NAME)
    with pytest.raises(ObjectsUnavailable):
        await FolderObjects(in_the_way).delete(NAME)


async def test_a_folder_has_whole_files_only(tmp_path: Path) -> None:
    store = FolderObjects(tmp_path)
    (tmp_path / NAME).mkdir()
    with pytest.raises(ObjectsUnavailable):
        await store.put(NAME, b"1", "image/webp")
    assert names(tmp_path) == [NAME]


async def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    old, new = tmp_path / f"old{PART}", tmp_path / f"new{PART}"
    for path in (old, new):
        path.write_text("half")
    long_ago = time.time() - ABANDONED_S - 1
    os.utime(old, (long_ago, long_ago))
    await FolderObjects(tmp_path).put(NAME, b"1", "image/webp")
    assert sorted(names(tmp_path)) == sorted([NAME, new.name])
