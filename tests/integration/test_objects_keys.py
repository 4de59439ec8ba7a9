"""The keys of a bucket change while it is in use; moto checks who asks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import aiohttp
import boto3
import pytest
from moto.server import ThreadedMotoServer

from cinema.integrations.objects import ObjectsUnavailable
from cinema.integrations.objects.s3 import S3Objects

NAME = f"{'cd' * 32}-780.webp"
ALLOWED = (
    '{"Version": "2012-10-17", "Statement":'
    ' [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
)


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class Operator:
    """Who gives out keys; before `check` nobody is asked for them."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        options: Any = {"endpoint_url": endpoint, "region_name": "us-east-1"}
        options |= {"aws_access_key_id": "root", "aws_secret_access_key": "root"}
        self._iam: Any = boto3.client("iam", **options)
        self._s3: Any = boto3.client("s3", **options)

    def begin(self) -> list[tuple[str, str]]:
        """A bucket, and a user of it with two keys."""
        self._s3.create_bucket(Bucket="files")
        self._iam.create_user(UserName="cinema")
        self._iam.put_user_policy(UserName="cinema", PolicyName="files", PolicyDocument=ALLOWED)
        made = [self._iam.create_access_key(UserName="cinema")["AccessKey"] for _ in range(2)]
        return [(one["AccessKeyId"], one["SecretAccessKey"]) for one in made]

    def end(self, key_id: str) -> None:
        """Make a key invalid."""
        self._iam.delete_access_key(UserName="cinema", AccessKeyId=key_id)

    async def check(self, after: str) -> None:
        """Look at keys after so many calls: 0, or `inf`."""
        path = f"{self._endpoint}/moto-api/reset-auth"
        async with aiohttp.ClientSession() as client, client.post(path, data=after) as answer:
            assert answer.status == 200


async def test_a_bucket_is_used_with_new_keys_once_the_old_ones_have_ended(endpoint: str) -> None:
    operator = await asyncio.to_thread(Operator, endpoint)
    old, new = await asyncio.to_thread(operator.begin)
    objects = S3Objects(
        "s3://files", endpoint=endpoint, access_key_id=old[0], secret_access_key=old[1]
    )
    await operator.check("0")
    try:
        await objects.put(NAME, b"a picture", "image/webp")
        await operator.check("inf")
        await asyncio.to_thread(operator.end, old[0])
        await operator.check("0")
        with pytest.raises(ObjectsUnavailable):
            await objects.get(NAME)
        for wrong in (objects.replace_id, objects.replace_key):
            with pytest.raises(ValueError, match="empty"):
                wrong("")
        objects.replace_id(new[0])
        with pytest.raises(ObjectsUnavailable):
            await objects.get(NAME)
        objects.replace_key(new[1])
        assert await objects.get(NAME) == b"a picture"
    finally:
        # What it keeps is that of the process.
        await operator.check("inf")
