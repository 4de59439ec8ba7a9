"""The double that `cinema serve --with-stripe-double` starts beside itself."""

from __future__ import annotations

import psutil
import pytest

from cinema.integrations.stripe.client import StripeClient
from cinema.local.stripe_double import WEBHOOK, running_double
from cinema.settings import Settings, stripe_key, webhook_secrets

pytestmark = pytest.mark.process


def doubles() -> list[psutil.Process]:
    """The doubles that this process has started."""
    return [
        child
        for child in psutil.Process().children()
        if "cinema.integrations.stripe.double" in child.cmdline()
    ]


async def test_it_takes_payments_as_long_as_the_server_runs() -> None:
    told: list[str] = []
    wanted = Settings(with_stripe_double=True, port=8099)
    with running_double(wanted, told.append) as settings:
        assert settings.stripe_api_base in told[0]
        assert not settings.with_stripe_double, "nodes of a cluster start none of their own"
        assert stripe_key(settings.stripe_secret_key, production=False)
        assert len(webhook_secrets(settings.stripe_webhook_secret)) == 1
        (process,) = doubles()
        assert f"http://127.0.0.1:8099{WEBHOOK}" in process.cmdline()
        client = StripeClient(settings.stripe_secret_key, base=settings.stripe_api_base)
        intent = await client.create_intent(amount=100, currency="EUR", metadata={}, key="k")
        assert intent.status == "requires_payment_method"
        await client.close()
    assert not process.is_running()


def test_none_is_started_unless_it_is_asked_for() -> None:
    plain = Settings()
    with running_double(plain, print) as settings:
        assert settings is plain
        assert not doubles()


def test_one_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    with (
        pytest.raises(RuntimeError, match="did not start"),
        running_double(Settings(with_stripe_double=True), print, module="no.such.module"),
    ):
        pass
