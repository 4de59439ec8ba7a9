"""One round of everything: what `bin/chaos` does for longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.faults import KINDS, TOGETHER
from tests.chaos.report import table
from tests.chaos.run import Options, cause_chaos

SEED = 1


@pytest.mark.no_cover
@pytest.mark.process
@pytest.mark.slow
@pytest.mark.postgres
async def test_five_hundred_clients_are_never_told_anything_untrue(tmp_path: Path) -> None:
    outcome = await cause_chaos(Options(seed=SEED), tmp_path, print)
    print(table(outcome))
    assert not outcome.wrong, f"logs and history: {tmp_path}\n" + "\n".join(outcome.wrong[:20])
    assert {slot.kind for slot in outcome.slots} == {"calm", *KINDS, TOGETHER}
    assert outcome.zombies >= 1
    assert outcome.acknowledged > 1000
    assert outcome.payments["paid and confirmed"] > 0
    assert outcome.payments["refunded"] > 0
    assert outcome.let_in
    assert outcome.mails
