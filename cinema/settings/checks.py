"""Checks of settings that concern several of them, or production."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from cinema.settings.control_tokens import parsed_tokens, problems_of_tokens
from cinema.settings.encryption_keys import problems_of_encryption_keys, problems_of_ticket_keys
from cinema.settings.experiments import problems_of_experiment
from cinema.settings.mail import problems_of_mail, problems_of_sms
from cinema.settings.origins import origin_of, problem_of_origin
from cinema.settings.signing_keys import (
    problems_of_cluster_secrets,
    problems_of_signing_keys,
    signing_keys,
)
from cinema.settings.stripe import problems_of_stripe
from cinema.settings.wallet import problems_of_wallet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cinema.settings.fields import Settings

_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104
_PLACEHOLDERS = ("change", "example", "secret", "default", "password", "replace", "insecure")
_FEWEST_DISTINCT_CHARACTERS = 12

SHORTEST_PASSWORD_CHARS = 12
"""Shortest password in an address; people do not type these passwords."""

WIDEST_PROXIES = {4: 8, 6: 7}
"""Shortest prefix of trusted networks by version: the largest private ones have these."""

_IPV4_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


def problems_together(settings: Settings) -> Iterator[str]:
    """Problems of the settings as a whole; each setting alone may be right."""
    if settings.seat_hold_max_seconds < settings.seat_hold_ttl_seconds:
        yield "SEAT_HOLD_MAX_SECONDS is less than SEAT_HOLD_TTL_SECONDS"
    if settings.database_pool_size <= settings.commit_lanes:
        yield "DATABASE_POOL_SIZE must be greater than COMMIT_LANES"
    yield from _problems_of_waiting(settings)
    yield from _problems_of_sessions(settings)
    yield from _problems_of_networks("TRUSTED_PROXIES", settings.trusted_proxies)
    yield from _problems_of_networks("WEBHOOK_ALLOWED_NETWORKS", settings.webhook_allowed_networks)
    for origin in settings.allowed_origins:
        if origin != "*" and (problem := problem_of_origin(origin)):
            yield f"ALLOWED_ORIGINS: {origin} {problem}"
    yield from _problems_of_addresses(settings)
    if settings.database_read_url and not settings.database_url:
        yield "DATABASE_READ_URL needs DATABASE_URL: the embedded Postgres has no replica"
    if settings.database_pooler_url and not settings.database_url:
        yield "DATABASE_POOLER_URL needs DATABASE_URL: the embedded Postgres has no pooler"
    yield from problems_of_signing_keys(settings.jwt_secret_key)
    if settings.redis_url:
        yield from _problems_of_a_cluster(settings)
    for problem in problems_of_tokens(parsed_tokens(settings.control_token)):
        yield f"CONTROL_TOKEN {problem}"
    yield from problems_of_mail(settings.smtp_url, settings.mail_from)
    yield from problems_of_sms(settings.sms_api_url, production=settings.production)
    yield from problems_of_stripe(settings)
    yield from problems_of_experiment(settings.recommendation_experiment)
    yield from problems_of_encryption_keys(settings.encryption_keys, production=settings.production)
    yield from problems_of_ticket_keys(settings.ticket_signing_keys, production=settings.production)
    yield from problems_of_wallet(settings.wallet_pass_certificate)
    if settings.production:
        yield from _problems_of_production(settings)
        yield from _problems_of_control(settings)


def _problems_of_networks(name: str, texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        if not _is_network(text):
            yield f"{name}: {text} is not an address or network"


def _problems_of_sessions(settings: Settings) -> Iterator[str]:
    if settings.refresh_total_days < settings.refresh_idle_days:
        yield "REFRESH_TOTAL_DAYS is less than REFRESH_IDLE_DAYS"


def _problems_of_waiting(settings: Settings) -> Iterator[str]:
    if settings.overloaded_after_ms >= settings.command_deadline_ms:
        yield "OVERLOADED_AFTER_MS must be less than COMMAND_DEADLINE_MS"


def _problems_of_addresses(settings: Settings) -> Iterator[str]:
    schemes = {
        "DATABASE_URL": (settings.database_url, ("postgresql://", "postgres://")),
        "DATABASE_READ_URL": (settings.database_read_url, ("postgresql://", "postgres://")),
        "DATABASE_POOLER_URL": (
            settings.database_pooler_url,
            ("postgresql://", "postgres://"),
        ),
        "REDIS_URL": (settings.redis_url, ("redis://", "rediss://", "unix://")),
        "PUBLIC_URL": (settings.public_url, ("http://", "https://")),
        "S3_URL": (settings.s3_url, ("s3://",)),
        "S3_ENDPOINT": (settings.s3_endpoint, ("http://", "https://")),
    }
    for name, (value, prefixes) in schemes.items():
        if value and not value.startswith(prefixes):
            yield f"{name} does not begin with {' or '.join(prefixes)}"
        elif value and name == "PUBLIC_URL" and origin_of(value) is None:
            yield f"{name} names no host, or a port that is none"
        elif name == "PUBLIC_URL" and any(character in value for character in "?#@ "):
            yield f"{name} must end with its path: links in mails are made by adding to it"
    if bool(settings.s3_access_key_id) != bool(settings.s3_secret_access_key):
        yield "S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY are given together, or neither of them"


def _problems_of_a_cluster(settings: Settings) -> Iterator[str]:
    if not settings.node_host and settings.host in _WILDCARDS:
        yield "NODE_HOST must say how others reach this node, since HOST listens on all addresses"
    if settings.cluster_secret:
        yield from problems_of_cluster_secrets(settings.cluster_secret)
    elif len(signing_keys(settings.jwt_secret_key)) > 1:
        yield (
            "CLUSTER_SECRET must be set where JWT_SECRET_KEY changes: made from it, it would "
            "change too, and nodes would no longer know each other"
        )


def _problems_of_production(settings: Settings) -> Iterator[str]:
    if not settings.jwt_secret_key:
        yield "JWT_SECRET_KEY is required in production"
    elif any(map(_is_guessable, signing_keys(settings.jwt_secret_key))):
        yield "JWT_SECRET_KEY looks like a placeholder; use 32 random bytes"
    if not settings.database_url:
        yield "DATABASE_URL is required in production; the embedded Postgres is for trying things"
    if settings.demo_payment:
        yield "DEMO_PAYMENT must be off in production"
    if settings.demo_data:
        yield "DEMO_DATA must be off in production: its passwords are public"
    if not settings.public_url.startswith("https://"):
        yield "PUBLIC_URL must be an https:// address in production"
    if not settings.trusted_proxies:
        yield "TRUSTED_PROXIES must name the proxy that ends TLS in production"
    elif _is_everybody(filter(_is_network, settings.trusted_proxies)):
        yield "TRUSTED_PROXIES must name only proxies: anybody else could claim any address"
    for origin in settings.allowed_origins:
        if origin == "*":
            yield "ALLOWED_ORIGINS must not be * in production"
        elif origin.startswith("http://"):
            yield f"ALLOWED_ORIGINS: {origin} must be https:// in production"
    yield from _problems_of_passwords(settings)


def _problems_of_passwords(settings: Settings) -> Iterator[str]:
    """Problems of secrets that others could guess, in settings and in addresses."""
    cluster_secrets = signing_keys(settings.cluster_secret)
    if any(map(_is_guessable, cluster_secrets)):
        yield "CLUSTER_SECRET looks like a placeholder; use 32 random bytes"
    elif set(cluster_secrets) & set(signing_keys(settings.jwt_secret_key)):
        yield "CLUSTER_SECRET is the JWT_SECRET_KEY; use another 32 random bytes"
    for name, url in (
        ("DATABASE_URL", settings.database_url),
        ("DATABASE_READ_URL", settings.database_read_url),
        ("DATABASE_POOLER_URL", settings.database_pooler_url),
        ("REDIS_URL", settings.redis_url),
    ):
        parts = urlsplit(url)
        password = parts.password or dict(parse_qsl(parts.query)).get("password", "")
        if password and password == parts.username:
            yield f"{name} has the user's name as its password"
        elif password and _is_default_password(password):
            yield f"{name} has a password that is a placeholder or too short; use a random one"
        elif not password and name == "REDIS_URL" and not _is_local(url):
            yield "REDIS_URL must have a password in production, unless Redis is on this machine"


def _problems_of_control(settings: Settings) -> Iterator[str]:
    token = settings.control_token
    if not token and not is_loopback(settings.control_host):
        yield "CONTROL_TOKEN is required in production where CONTROL_HOST is not loopback"
    secrets = [one.secret for one in parsed_tokens(token)]
    if any(_is_guessable(secret) for secret in secrets):
        yield "CONTROL_TOKEN looks like a placeholder; use 32 random bytes"
    elif not set(signing_keys(settings.jwt_secret_key)).isdisjoint(secrets):
        yield "CONTROL_TOKEN is the JWT_SECRET_KEY; use another 32 random bytes"


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to a listener on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_local(url: str) -> bool:
    parts = urlsplit(url)
    return not url or parts.scheme == "unix" or is_loopback(parts.hostname or "localhost")


def _is_default_password(password: str) -> bool:
    lower = password.lower()
    return len(password) < SHORTEST_PASSWORD_CHARS or any(word in lower for word in _PLACEHOLDERS)


def _is_everybody(networks: Iterable[str]) -> bool:
    """Whether these networks together contain one that is larger than any private network."""
    of_version: dict[int, list[Any]] = {4: [], 6: []}
    for text in networks:
        network: ipaddress.IPv4Network | ipaddress.IPv6Network
        network = ipaddress.ip_network(text, strict=False)
        if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_IPV4_MAPPED):
            address = network.network_address.ipv4_mapped
            network = ipaddress.IPv4Network(f"{address}/{network.prefixlen - 96}")
        of_version[network.version].append(network)
    return any(
        network.prefixlen < WIDEST_PROXIES[version]
        for version, own in of_version.items()
        for network in ipaddress.collapse_addresses(own)
    )


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
