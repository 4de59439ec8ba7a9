"""`python -m cinema.integrations.stripe.double`: the double as a process of its own.

It writes its address to standard output once it serves. Keys come from the environment, as those
of the server do: STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys

from cinema.integrations.stripe.double.deliveries import WebhookTarget
from cinema.integrations.stripe.double.server import TEST_KEY, StripeDouble


async def serve(double: StripeDouble, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stopping.set)
    await double.start(host, port)
    sys.stdout.write(f"{double.url}\n")
    sys.stdout.flush()
    await stopping.wait()
    await double.stop()


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(description="A double of Stripe: no money moves.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--webhook", default="", help="where events are posted")
    given = parser.parse_args()
    key = os.environ.get("STRIPE_SECRET_KEY", TEST_KEY)
    secret = os.environ.get("STRIPE_WEBHOOK_SECRET", "")
    endpoint = WebhookTarget(given.webhook, secret) if given.webhook else None
    asyncio.run(serve(StripeDouble(secret_key=key, endpoint=endpoint), given.host, given.port))


if __name__ == "__main__":
    main()
