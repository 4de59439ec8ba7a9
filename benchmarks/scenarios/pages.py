"""`pages`: what somebody sees of the web pages in Chromium, on a slow processor and a slow line."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
from playwright.async_api import Browser, Page, async_playwright

from benchmarks.house import House, Screen
from benchmarks.results import Figures, Measurement, Outcome, Target
from benchmarks.server import HOST, Server
from benchmarks.session import Bench, Options, Scenario
from cinema.features.website.service import BUILT

SUMMARY = "pages in Chromium: first sight, clicks on a busy seat map, and holds of others"

CPU_SLOWDOWN = 4
FAST_4G = {
    "offline": False,
    "latency": 60,
    "downloadThroughput": 9_000_000 / 8,
    "uploadThroughput": 1_500_000 / 8,
}
CHANGES_PER_S = 100
LCP_MS, SHIFT, CLICK_MS, PAINT_MS = 1500.0, 0.05, 100.0, 150.0
CLICKS, HOLDS = 40, 100
PATIENCE_MS = 60_000
UNSEEN_MS = 16.0
"""Events that take less than this are not told (Event Timing API)."""

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]

WATCH_LOADING = """
window.seen = { lcp: 0, shift: 0 };
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.seen.lcp = entry.startTime;
}).observe({ type: "largest-contentful-paint", buffered: true });
new PerformanceObserver((list) => {
  for (const entry of list.getEntries())
    if (!entry.hadRecentInput) window.seen.shift += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""

WATCH_CLICKS = """() => {
  window.clicks = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries())
      if (entry.name === "click") window.clicks.push(entry.duration);
  }).observe({ type: "event", durationThreshold: 16 });
}"""

WATCH_SEATS = """() => {
  window.painted = {};
  new MutationObserver((changes) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => {
      const at = performance.timeOrigin + performance.now();
      for (const { target } of changes)
        if (target.classList.contains("held")) window.painted[target.dataset.seat] ??= at;
    };
    channel.port2.postMessage(null);
  })).observe(document.querySelector("[role=grid]"), { subtree: true, attributeFilter: ["class"] });
}"""


def quantile(values: list[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class Others:
    """Customers who hold seats, and give them back."""

    def __init__(self, server: Server, house: House) -> None:
        self._base = f"http://{HOST}:{server.port}/api/v1"
        self._house = house
        self.refused = 0

    async def hold(self, session: aiohttp.ClientSession, showtime: str, seat: str) -> str:
        """The address of a hold."""
        path = f"{self._base}/showtimes/{showtime}/holds"
        async with session.post(path, json={"seats": [seat]}, headers=self._headers) as reply:
            answer = await reply.json()
            assert reply.status == 201, answer
            return f"{path}/{answer['data']['hold_id']}"

    @asynccontextmanager
    async def busy(self, showtime: str, seats: list[str]) -> AsyncIterator[None]:
        """A hundred changes a second of these seats, each held and given back by turns."""
        running = asyncio.create_task(self._change(showtime, seats))
        try:
            yield
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    async def _change(self, showtime: str, seats: list[str]) -> None:
        every_s = 2 / CHANGES_PER_S
        async with aiohttp.ClientSession() as session:
            due_s = time.monotonic()
            while True:
                for seat in seats:
                    due_s += every_s
                    await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                    address = await self.hold(session, showtime, seat)
                    async with session.delete(address, headers=self._headers) as reply:
                        self.refused += reply.status != 200

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._house.tokens[0]}"}


class Visit:
    """One visitor with a new browser context, as slow as wanted."""

    def __init__(self, browser: Browser, server: Server) -> None:
        self._browser = browser
        self._base = f"http://{HOST}:{server.port}"

    @asynccontextmanager
    async def page(self, *, slowdown: int = 1, line: bool = False) -> AsyncIterator[Page]:
        """A window of a telephone's size."""
        size: Any = {"width": 390, "height": 844}
        context = await self._browser.new_context(base_url=self._base, viewport=size)
        context.set_default_timeout(PATIENCE_MS)
        try:
            page = await context.new_page()
            session = await context.new_cdp_session(page)
            if slowdown > 1:
                await session.send("Emulation.setCPUThrottlingRate", {"rate": slowdown})
            if line:
                await session.send("Network.enable")
                await session.send("Network.emulateNetworkConditions", FAST_4G)
            yield page
        finally:
            await context.close()

    async def first_sight(self) -> tuple[float, float]:
        """Largest contentful paint of the first page, ms, and how much of it has moved."""
        async with self.page(slowdown=CPU_SLOWDOWN, line=True) as page:
            await page.add_init_script(WATCH_LOADING)
            await page.goto("/")
            await page.locator(".film-card").first.wait_for()
            await page.wait_for_load_state("networkidle")
            seen: dict[str, float] = await page.evaluate("() => window.seen")
            return seen["lcp"], seen["shift"]

    async def clicks(self, showtime: str, screen: Screen, others: Others) -> list[float]:
        """From the click on a seat to its paint, ms, while others change a hundred a second."""
        middle = len(screen.labels) // 2
        async with self.page(slowdown=CPU_SLOWDOWN) as page:
            await self._seats(page, showtime)
            await page.evaluate(WATCH_CLICKS)
            async with others.busy(showtime, screen.labels[middle:]):
                for number in range(CLICKS):
                    # Chosen, and given up by the next one: ten at most can be chosen.
                    label = screen.labels[number // 2]
                    await page.locator(f'[data-seat="{label}"]').click()
            told: list[float] = await page.evaluate("() => window.clicks")
            return [*told, *[UNSEEN_MS] * (CLICKS - len(told))]

    async def paints(self, showtime: str, screen: Screen, others: Others) -> list[float]:
        """From the request of another's hold to its paint here, ms."""
        async with self.page() as page, aiohttp.ClientSession() as session:
            await self._seats(page, showtime)
            await page.evaluate(WATCH_SEATS)
            asked_ms: dict[str, float] = {}
            for seat in screen.labels[:HOLDS]:
                asked_ms[seat] = time.time() * 1000
                await others.hold(session, showtime, seat)
            await page.wait_for_function(
                "(count) => Object.keys(window.painted).length >= count", arg=len(asked_ms)
            )
            painted: dict[str, float] = await page.evaluate("() => window.painted")
            return [painted[seat] - at_ms for seat, at_ms in asked_ms.items()]

    async def _seats(self, page: Page, showtime: str) -> None:
        await page.goto(f"/showtimes/{showtime}")
        await page.locator(".line.live").wait_for()


async def run_pages(bench: Bench) -> Outcome:
    """Each run: the first page, clicks on a busy map of 500 seats, and others' holds on another."""
    figures = Figures()
    if not (BUILT / "index.html").is_file():
        raise FileNotFoundError("There are no built pages: run bin/web build first.")
    settings = {"DEMO_DATA": "true"}
    async with bench.cinema(settings) as server, async_playwright() as playwright:
        house = await House.open(server, 1)
        screen = await house.screen("Screen of pages", 25, 20)
        browser = await playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        visit, others = Visit(browser, server), Others(server, house)
        showtimes = await house.showtimes(screen, 2 * bench.options.runs)
        for busy, calm in zip(showtimes[::2], showtimes[1::2], strict=True):
            bench.say("looking at pages")
            lcp_ms, shift = await visit.first_sight()
            clicks = await visit.clicks(busy, screen, others)
            paints = await visit.paints(calm, screen, others)
            for measure, unit, value in (
                ("largest contentful paint", "ms", lcp_ms),
                ("cumulative layout shift", "", shift),
                ("click on a seat, p75", "ms", quantile(clicks, 0.75)),
                ("another's hold painted, p95", "ms", quantile(paints, 0.95)),
            ):
                figures.add("cinema", measure, unit, Measurement(value=value))
            bench.step()
        await browser.close()
    if others.refused:
        figures.problem(f"{others.refused} holds were not given back: fewer changes than wanted")
    wanted = (LCP_MS, SHIFT, CLICK_MS, PAINT_MS)
    return Outcome(
        scenario="pages",
        summary=SUMMARY,
        figures=figures.all(),
        targets=[
            Target(
                text=figure.measure,
                unit=figure.unit,
                wanted=most,
                measured=figure.median,
                at_least=False,
            )
            for figure, most in zip(figures.all(), wanted, strict=True)
        ],
        notes=[
            f"first sight and clicks: processor {CPU_SLOWDOWN} times slower, 390 pixels wide",
            f"first sight: line of 9 Mbit/s and {FAST_4G['latency']} ms",
            f"clicks: {CHANGES_PER_S} changes a second of a map of 500 seats",
        ],
        problems=figures.problems,
    )


def chromium() -> str:
    """Where Chromium is."""
    found = shutil.which("chromium")
    if found is None:
        raise FileNotFoundError("There is no chromium: apt-get install chromium.")
    return found


def steps(options: Options) -> int:
    return options.runs


PAGES = Scenario(name="pages", summary=SUMMARY, steps=steps, run=run_pages)
