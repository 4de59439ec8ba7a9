"""What makes settings wrong together, though each may be right alone."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cinema.settings.control_tokens import parsed_tokens, problems_of_tokens
from cinema.settings.origins import problem_of_origin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cinema.settings.fields import Settings

SHORTEST_JWT_SECRET_BYTES = 32
_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104
_PLACEHOLDERS = ("change", "example", "secret", "default", "password", "replace", "insecure")
_FEWEST_DISTINCT_CHARACTERS = 12


def problems_together(settings: Settings) -> Iterator[str]:
    """What is wrong with the settings as a whole, though each may be right alone."""
    if settings.seat_hold_max_seconds < settings.seat_hold_ttl_seconds:
        yield "SEAT_HOLD_MAX_SECONDS is less than SEAT_HOLD_TTL_SECONDS"
    if settings.database_pool_size <= settings.commit_lanes:
        yield "DATABASE_POOL_SIZE must be greater than COMMIT_LANES"
    for network in settings.trusted_proxies:
        if not _is_network(network):
            yield f"TRUSTED_PROXIES: {network} is no address or network"
    for origin in settings.allowed_origins:
        if origin != "*" and (problem := problem_of_origin(origin)):
            yield f"ALLOWED_ORIGINS: {origin} {problem}"
    yield from _problems_of_addresses(settings)
    if settings.database_read_url and not settings.database_url:
        yield "DATABASE_READ_URL needs DATABASE_URL: the embedded Postgres has no replica"
    if (
        settings.jwt_secret_key
        and len(settings.jwt_secret_key.encode()) < SHORTEST_JWT_SECRET_BYTES
    ):
        yield f"JWT_SECRET_KEY is shorter than {SHORTEST_JWT_SECRET_BYTES} bytes"
    if settings.redis_url:
        yield from _problems_of_a_cluster(settings)
    for problem in problems_of_tokens(parsed_tokens(settings.control_token)):
        yield f"CONTROL_TOKEN {problem}"
    if settings.production:
        yield from _problems_of_production(settings)
        yield from _problems_of_control(settings)


def _problems_of_addresses(settings: Settings) -> Iterator[str]:
    schemes = {
        "DATABASE_URL": (settings.database_url, ("postgresql://", "postgres://")),
        "DATABASE_READ_URL": (settings.database_read_url, ("postgresql://", "postgres://")),
        "REDIS_URL": (settings.redis_url, ("redis://", "rediss://", "unix://")),
        "PUBLIC_URL": (settings.public_url, ("http://", "https://")),
    }
    for name, (value, prefixes) in schemes.items():
        if value and not value.startswith(prefixes):
            yield f"{name} does not begin with {' or '.join(prefixes)}"


def _problems_of_a_cluster(settings: Settings) -> Iterator[str]:
    if not settings.node_host and settings.host in _WILDCARDS:
        yield "NODE_HOST must say how others reach this node, for HOST listens on all addresses"
    secret = settings.cluster_secret
    if secret and len(secret.encode()) < SHORTEST_JWT_SECRET_BYTES:
        yield f"CLUSTER_SECRET is shorter than {SHORTEST_JWT_SECRET_BYTES} bytes"


def _problems_of_production(settings: Settings) -> Iterator[str]:
    if not settings.jwt_secret_key:
        yield "JWT_SECRET_KEY is required in production"
    elif _is_guessable(settings.jwt_secret_key):
        yield "JWT_SECRET_KEY looks like a placeholder; use 32 random bytes"
    if not settings.database_url:
        yield "DATABASE_URL is required in production; the embedded Postgres is for trying things"
    elif _has_default_password(settings.database_url):
        yield "DATABASE_URL has the user's name as its password"
    if settings.demo_payment:
        yield "DEMO_PAYMENT must be off in production"
    if settings.demo_data:
        yield "DEMO_DATA must be off in production: its passwords are public"
    if not settings.public_url.startswith("https://"):
        yield "PUBLIC_URL must be an https:// address in production"
    if not settings.trusted_proxies:
        yield "TRUSTED_PROXIES must name the proxy that ends TLS in production"
    if "*" in settings.allowed_origins:
        yield "ALLOWED_ORIGINS must not be * in production"


def _problems_of_control(settings: Settings) -> Iterator[str]:
    token = settings.control_token
    if not token and not is_loopback(settings.control_host):
        yield "CONTROL_TOKEN is required in production where CONTROL_HOST is not loopback"
    secrets = [one.secret for one in parsed_tokens(token)]
    if any(_is_guessable(secret) for secret in secrets):
        yield "CONTROL_TOKEN looks like a placeholder; use 32 random bytes"
    elif settings.jwt_secret_key and settings.jwt_secret_key in secrets:
        yield "CONTROL_TOKEN is the JWT_SECRET_KEY; use another 32 random bytes"


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to what listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _has_default_password(url: str) -> bool:
    parts = urlsplit(url)
    return parts.password is not None and parts.password == parts.username


def _is_guessable(secret: str) -> bool:
    lower = secret.lower()
    return (
        any(word in lower for word in _PLACEHOLDERS)
        or len(set(secret)) < _FEWEST_DISTINCT_CHARACTERS
    )


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True
