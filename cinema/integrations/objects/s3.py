"""Objects in a bucket of S3, or of what speaks its language."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from cinema.integrations.objects import ObjectsUnavailable, checked

if TYPE_CHECKING:
    from obstore.store import S3Config, S3Store

TIMEOUT_S: Final = 10
"""How long one request to the store may take; who uploads waits for three."""

RETRIES: Final = 2


class S3Objects:
    """See `ObjectStore`; `url` is `s3://bucket` or `s3://bucket/prefix`.

    Without keys those of the machine's role are used. `endpoint` is for stores of others. Keys may
    change while it is in use.
    """

    def __init__(
        self,
        url: str,
        *,
        endpoint: str = "",
        region: str = "",
        access_key_id: str = "",
        secret_access_key: str = "",
    ) -> None:
        bucket, _, self._prefix = url.removeprefix("s3://").strip("/").partition("/")
        self._config: S3Config = {"bucket": bucket, "region": region or "us-east-1"}
        if endpoint:
            self._config["endpoint"] = endpoint
        if access_key_id:
            self._config["access_key_id"] = access_key_id
            self._config["secret_access_key"] = secret_access_key
        self._kept: S3Store | None = None

    def replace_id(self, access_key_id: str) -> None:
        """Be another one to the store from now on. Raises `ValueError` for an empty id."""
        if not access_key_id:
            raise ValueError("it is empty")
        self._config["access_key_id"] = access_key_id
        self._kept = None

    def replace_key(self, secret_access_key: str) -> None:
        """Sign requests with this key from now on. Raises `ValueError` for an empty one."""
        if not secret_access_key:
            raise ValueError("it is empty")
        self._config["secret_access_key"] = secret_access_key
        self._kept = None

    def _store(self) -> S3Store:
        """The store; its library is loaded by the first who needs it."""
        if self._kept is None:
            from obstore.store import S3Store

            self._kept = S3Store(
                prefix=self._prefix or None,
                config=self._config,
                client_options={
                    "timeout": timedelta(seconds=TIMEOUT_S),
                    "allow_http": self._config.get("endpoint", "").startswith("http://"),
                },
                retry_config={
                    "max_retries": RETRIES,
                    "retry_timeout": timedelta(seconds=2 * TIMEOUT_S),
                },
            )
        return self._kept

    async def put(self, name: str, content: bytes, media_type: str) -> None:
        """See `ObjectStore.put`."""
        from obstore.exceptions import BaseError

        try:
            await self._store().put_async(
                checked(name), content, attributes={"Content-Type": media_type}
            )
        except (BaseError, OSError) as error:
            raise ObjectsUnavailable(type(error).__name__) from error

    async def get(self, name: str) -> bytes | None:
        """See `ObjectStore.get`."""
        from obstore.exceptions import BaseError

        try:
            found = await self._store().get_async(checked(name))
            return bytes(await found.bytes_async())
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise ObjectsUnavailable(type(error).__name__) from error

    async def delete(self, name: str) -> None:
        """See `ObjectStore.delete`."""
        from obstore.exceptions import BaseError

        try:
            await self._store().delete_async(checked(name))
        except FileNotFoundError:
            return
        except (BaseError, OSError) as error:
            raise ObjectsUnavailable(type(error).__name__) from error
