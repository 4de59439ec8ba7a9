"""Settings of a server: read once, checked together, then passed as values."""

from cinema.settings.addresses import reachable, url_of
from cinema.settings.checks import is_loopback
from cinema.settings.control_address import announce, announced, withdraw
from cinema.settings.control_tokens import ControlToken, parsed_tokens, problems_of_tokens
from cinema.settings.encryption_keys import encryption_keys, problems_of_ticket_keys
from cinema.settings.experiments import experiment_of
from cinema.settings.fields import Secret, Settings
from cinema.settings.generated import (
    found_control_token,
    with_control_token,
    with_encryption_keys,
    with_jwt_secret,
    with_ticket_keys,
)
from cinema.settings.loading import Field, SettingsError, fields, load_settings
from cinema.settings.mail import smtp_server
from cinema.settings.origins import origin_of
from cinema.settings.signing_keys import (
    problems_of_cluster_secrets,
    problems_of_signing_keys,
    signing_keys,
)
from cinema.settings.stripe import stripe_key, webhook_secrets
from cinema.settings.wallet import pass_identity

__all__ = [
    "ControlToken",
    "Field",
    "Secret",
    "Settings",
    "SettingsError",
    "announce",
    "announced",
    "encryption_keys",
    "experiment_of",
    "fields",
    "found_control_token",
    "is_loopback",
    "load_settings",
    "origin_of",
    "parsed_tokens",
    "pass_identity",
    "problems_of_cluster_secrets",
    "problems_of_signing_keys",
    "problems_of_ticket_keys",
    "problems_of_tokens",
    "reachable",
    "signing_keys",
    "smtp_server",
    "stripe_key",
    "url_of",
    "webhook_secrets",
    "with_control_token",
    "with_encryption_keys",
    "with_jwt_secret",
    "with_ticket_keys",
    "withdraw",
]
