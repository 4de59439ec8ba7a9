"""What clients are told when a document cannot be printed now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import cast

import msgspec
import pytest

from cinema.domain.rejections import Refused
from cinema.features.invoices.service import AT_ONCE, WAITING_LIMIT, InvoicesService
from cinema.features.invoices.store import InvoicesRepository
from cinema.integrations.forks import ForkServer
from cinema.integrations.processes import ProcessDied
from tests.unit.features.invoices.documents import documents, sale, seats

CONTENT = msgspec.json.encode(documents(sale(*seats(1000)))[0])

PATIENCE_S = 180.0
"""A test waits so long only when something is wrong."""

Make = Callable[..., InvoicesService]


@pytest.fixture
async def service() -> AsyncIterator[Make]:
    """Makes a service whose printer is one of these."""
    names = ("hanging", "endless", "stumbling", "echoing")
    programs = {name: f"tests.support.forked_programs:{name}" for name in names}
    server = ForkServer(tuple(programs.values()))

    def make(printer: str, time_limit_s: float = PATIENCE_S) -> InvoicesService:
        unused, program = cast(InvoicesRepository, None), programs[printer]
        return InvoicesService(unused, server, program=program, time_limit_s=time_limit_s)

    yield make
    await server.close()


async def refusal(invoices: InvoicesService) -> str:
    with pytest.raises(Refused) as refused:
        await invoices.pdf(CONTENT, "en")
    return refused.value.rejection.code


async def test_a_printer_that_takes_too_long_is_stopped(service: Make) -> None:
    assert await refusal(service("hanging", time_limit_s=0.05)) == "RETRY"


async def test_an_endless_answer_is_none(service: Make) -> None:
    assert await refusal(service("endless")) == "RETRY"


async def test_a_printer_that_fails_is_a_fault_of_ours(service: Make) -> None:
    with pytest.raises(ProcessDied, match="ValueError"):
        await service("stumbling").pdf(CONTENT, "en")


async def test_more_documents_than_can_wait_are_turned_away(service: Make) -> None:
    printer = service("echoing")
    asked = [printer.pdf(CONTENT, "en") for _ in range(AT_ONCE + WAITING_LIMIT + 1)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    refused = [one for one in answers if isinstance(one, Refused)]
    assert [one.rejection.code for one in refused] == ["OVERLOADED"]
    assert sum(isinstance(one, bytes) for one in answers) == AT_ONCE + WAITING_LIMIT


async def test_the_customers_language_is_used_without_another(service: Make) -> None:
    echo = service("echoing")
    assert (await echo.pdf(CONTENT, "")).startswith(b"de\n")
    assert (await echo.pdf(CONTENT, "en")).startswith(b"en\n")
