"""The settings of payments by Stripe."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from cinema.settings.fields import Settings

WEBHOOK_SECRETS_LIMIT: Final = 2
"""The new one and the old one, while it is rotated."""

_BETWEEN: Final = re.compile(r"[\s,]+")
_KEY: Final = re.compile(r"(sk|rk)_(test|live)_\w+")
_PUBLISHABLE: Final = re.compile(r"pk_(test|live)_\w+")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def webhook_secrets(text: str) -> tuple[str, ...]:
    """The secrets that sign webhooks, newest first. Raises `ValueError`."""
    secrets = tuple(filter(None, _BETWEEN.split(text)))
    if len(secrets) > WEBHOOK_SECRETS_LIMIT:
        raise ValueError(f"holds more than {WEBHOOK_SECRETS_LIMIT} secrets")
    if not all(secret.startswith("whsec_") for secret in secrets):
        raise ValueError("does not begin with whsec_")
    if len(set(secrets)) < len(secrets):
        raise ValueError("holds a secret twice")
    return secrets


def stripe_key(text: str, *, production: bool) -> str:
    """The key of the API, if it is one that this server may use. Raises `ValueError`."""
    if not text:
        return text
    match = _KEY.fullmatch(text)
    if match is None:
        raise ValueError("has to begin with sk_ or rk_, and test_ or live_")
    if production and match[2] == "test":
        raise ValueError("is a test key: in production tickets would cost nothing")
    if not production and match[2] == "live":
        raise ValueError("is a live key, which moves money: use a test key in development")
    return text


def problems_of_stripe(settings: Settings) -> Iterator[str]:
    """Problems of these settings together."""
    key, base = settings.stripe_secret_key, settings.stripe_api_base
    if settings.with_stripe_double:
        yield from _problems_of_double(settings)
    try:
        stripe_key(key, production=settings.production)
    except ValueError as problem:
        yield f"STRIPE_SECRET_KEY {problem}"
    yield from _problems_of_pages(settings)
    try:
        secrets = webhook_secrets(settings.stripe_webhook_secret)
    except ValueError as problem:
        yield f"STRIPE_WEBHOOK_SECRET {problem}"
    else:
        if settings.production and key and not secrets:
            yield "STRIPE_WEBHOOK_SECRET is required where STRIPE_SECRET_KEY is set"
    parts = urlsplit(base)
    if base and (parts.scheme not in {"http", "https"} or not parts.hostname):
        yield "STRIPE_API_BASE has to be an http:// or https:// address"
    elif base and settings.production and parts.scheme != "https":
        yield "STRIPE_API_BASE must be https:// in production"
    elif base and settings.production and parts.hostname in _LOOPBACK:
        yield "STRIPE_API_BASE must not be on this machine in production"


def _problems_of_pages(settings: Settings) -> Iterator[str]:
    shown, key = settings.stripe_publishable_key, settings.stripe_secret_key
    if not shown:
        return
    match = _PUBLISHABLE.fullmatch(shown)
    if match is None:
        yield "STRIPE_PUBLISHABLE_KEY has to begin with pk_test_ or pk_live_"
    elif not key:
        yield "STRIPE_PUBLISHABLE_KEY needs STRIPE_SECRET_KEY: without it nobody can pay by card"
    elif (secret := _KEY.fullmatch(key)) is not None and secret[2] != match[1]:
        yield "STRIPE_PUBLISHABLE_KEY and STRIPE_SECRET_KEY are of different modes, test and live"


def _problems_of_double(settings: Settings) -> Iterator[str]:
    if settings.production:
        yield "WITH_STRIPE_DOUBLE must be off in production: nobody would pay"
    own = (
        settings.stripe_secret_key,
        settings.stripe_publishable_key,
        settings.stripe_webhook_secret,
        settings.stripe_api_base,
    )
    if any(own):
        yield "WITH_STRIPE_DOUBLE makes its own STRIPE_… settings; leave them empty"
    if not settings.port:
        yield "WITH_STRIPE_DOUBLE needs a PORT, where the double tells of payments"
