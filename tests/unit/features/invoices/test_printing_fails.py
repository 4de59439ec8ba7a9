"""What clients are told when a document cannot be printed now."""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import msgspec
import pytest

from cinema.domain.rejections import Refused
from cinema.features.invoices.service import AT_ONCE, WAITING_LIMIT, InvoicesService
from cinema.features.invoices.store import InvoicesRepository
from tests.unit.features.invoices.documents import documents, sale, seats

CONTENT = msgspec.json.encode(documents(sale(*seats(1000)))[0])


def service(program: str, **limits: float) -> InvoicesService:
    """A service whose printer is this program."""
    unused = cast(InvoicesRepository, None)
    return InvoicesService(unused, (sys.executable, "-c", program), **limits)


async def refusal(invoices: InvoicesService) -> str:
    with pytest.raises(Refused) as refused:
        await invoices.pdf(CONTENT, "en")
    return refused.value.rejection.code


async def test_a_printer_that_takes_too_long_is_stopped() -> None:
    slow = service("import time; time.sleep(60)", time_limit_s=0.05)
    assert await refusal(slow) == "RETRY"


async def test_an_endless_answer_is_none() -> None:
    endless = service("while True: print('%PDF' * 9999)")
    assert await refusal(endless) == "RETRY"


async def test_half_a_file_is_a_fault_of_ours() -> None:
    with pytest.raises(RuntimeError):
        await service("print('%PDF-1.3')").pdf(CONTENT, "en")


async def test_more_documents_than_can_wait_are_turned_away() -> None:
    printer = service("import sys; sys.stdin.read(); print('%%EOF')")
    asked = [printer.pdf(CONTENT, "en") for _ in range(AT_ONCE + WAITING_LIMIT + 1)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    refused = [one for one in answers if isinstance(one, Refused)]
    assert [one.rejection.code for one in refused] == ["OVERLOADED"]
    assert sum(isinstance(one, bytes) for one in answers) == AT_ONCE + WAITING_LIMIT


async def test_the_customers_language_is_used_without_another() -> None:
    echo = service("import sys; print(sys.stdin.readline(), '%%EOF')")
    assert (await echo.pdf(CONTENT, "")).startswith(b"de\n")
    assert (await echo.pdf(CONTENT, "en")).startswith(b"en\n")
