"""A double of Stripe beside the server: `cinema serve --with-stripe-double`."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from cinema.domain.progress import Report
from cinema.local.tether import tethered
from cinema.settings import Secret, Settings, url_of

MODULE: Final = "cinema.integrations.stripe.double"
WEBHOOK: Final = "/api/v1/webhooks/stripe"

STOP_S: Final = 5.0
"""How long it may take to stop before it is killed; it has nothing to lose."""


@contextmanager
def running_double(
    settings: Settings, report: Report, *, module: str = MODULE
) -> Iterator[Settings]:
    """The settings with the address and the keys of a double, if it was asked for.

    Its process ends with this one. What was paid is forgotten then: it is kept in memory only.
    """
    if not settings.with_stripe_double:
        yield settings
        return
    key, secret = f"sk_test_{secrets.token_hex(16)}", f"whsec_{secrets.token_hex(16)}"
    webhook = f"{url_of(settings.host, settings.port)}{WEBHOOK}"
    process = subprocess.Popen(
        tethered([sys.executable, "-P", "-m", module, "--webhook", webhook]),
        env={**os.environ, "STRIPE_SECRET_KEY": key, "STRIPE_WEBHOOK_SECRET": secret},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        # A stop of the server by Ctrl-C is not for the double: it stays as long as the server.
        start_new_session=True,
        text=True,
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if not address:
            raise RuntimeError("the double of Stripe did not start")
        report(f"a double of Stripe at {address} (no money moves)")
        yield msgspec.structs.replace(
            settings,
            # Nodes of a local cluster get these as settings, and start none of their own.
            with_stripe_double=False,
            stripe_api_base=address,
            stripe_secret_key=Secret(key),
            stripe_webhook_secret=Secret(secret),
        )
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
