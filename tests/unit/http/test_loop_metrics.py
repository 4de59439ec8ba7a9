"""The longest step of the loop, as `/metrics` tells it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cinema.http.loop_metrics import LOOK_S, PART_S, WINDOW_S, LoopProbe, loop_families
from tests.support.actors.virtual_time import in_virtual_time


def samples(probe: LoopProbe) -> dict[str, float]:
    return {
        sample.name + "".join(f"[{value}]" for value in sample.labels.values()): sample.value
        for family in loop_families(probe)()
        for sample in family.samples
    }


def busy_for(seconds: float) -> None:
    """A step during which time passes."""
    loop: Any = asyncio.get_running_loop()
    loop.jumping.now_s += seconds


@in_virtual_time
async def test_a_long_step_is_told_for_a_minute() -> None:
    probe = LoopProbe(asyncio.get_running_loop())
    probe.start()
    await asyncio.sleep(1.0)
    assert probe.longest_s == pytest.approx(0.0, abs=1e-6)
    busy_for(0.3)
    await asyncio.sleep(2 * LOOK_S)
    assert 0.3 - LOOK_S - 1e-6 <= probe.longest_s <= 0.3 + 1e-6
    await asyncio.sleep(WINDOW_S - 2 * PART_S)
    busy_for(0.1)
    await asyncio.sleep(LOOK_S * 2)
    assert probe.longest_s >= 0.3 - LOOK_S - 1e-6
    await asyncio.sleep(2 * PART_S)
    assert 0.1 - LOOK_S - 1e-6 <= probe.longest_s <= 0.1 + 1e-6
    probe.begin_anew()
    assert probe.longest_s == 0.0
    probe.stop()


@in_virtual_time
async def test_a_step_is_judged_by_the_cpu_it_took_too() -> None:
    used_s = 0.0
    probe = LoopProbe(asyncio.get_running_loop(), lambda: used_s)
    probe.start()
    await asyncio.sleep(1.0)
    for lasted_s, cpu_s in ((0.3, 0.02), (0.1, 0.08)):
        busy_for(lasted_s)
        used_s += cpu_s
        await asyncio.sleep(2 * LOOK_S)
    assert probe.longest_s >= 0.3 - LOOK_S - 1e-6
    assert probe.longest_cpu_s == pytest.approx(0.08)
    assert samples(probe)["cinema_loop_longest_step_cpu_seconds"] == probe.longest_cpu_s
    # Work of many short steps is that of none: a late timer bounds what its step can have used.
    used_s += 0.5
    await asyncio.sleep(LOOK_S)
    assert probe.longest_cpu_s == pytest.approx(0.08)
    await asyncio.sleep(WINDOW_S + PART_S)
    assert probe.longest_cpu_s == 0.0
    used_s += 0.2
    busy_for(0.3)
    await asyncio.sleep(2 * LOOK_S)
    assert probe.longest_cpu_s == pytest.approx(0.2)
    probe.begin_anew()
    assert probe.longest_cpu_s == 0.0
    probe.stop()


@in_virtual_time
async def test_steps_are_counted_by_how_long_they_were() -> None:
    probe = LoopProbe(asyncio.get_running_loop())
    probe.stop()
    probe.start()
    for _ in range(3):
        await asyncio.sleep(10 * LOOK_S)
        busy_for(0.08)
    await asyncio.sleep(LOOK_S / 2)
    told = samples(probe)
    name = "cinema_loop_lateness_seconds"
    count = told[f"{name}_count"]
    assert told[f"{name}_bucket[+Inf]"] == told[f"{name}_bucket[0.1]"] == count
    assert count - told[f"{name}_bucket[0.05]"] == 3
    assert told[f"{name}_bucket[0.005]"] == count - 3
    assert told[f"{name}_sum"] == pytest.approx(0.24, abs=3.1 * LOOK_S)
    assert told["cinema_loop_longest_step_seconds"] == probe.longest_s
    probe.stop()
