"""`logins`: passwords beside bcrypt alone, and what a storm of them does to the seats."""

import base64
import hashlib

import asyncpg
import bcrypt

from benchmarks.house import House
from benchmarks.load.specs import HashProbe, HoldLoad, Logins, Report
from benchmarks.results import Figures, Measurement, Outcome, Target, measurement
from benchmarks.scenarios.holds import CUSTOMERS, interleaved
from benchmarks.scenarios.latency import from_quantile
from benchmarks.server import HOST, Server
from benchmarks.session import Bench, Options, Scenario
from benchmarks.stage import cinema_stage
from cinema.domain.limits_catalog import HASHING_QUEUE, HASHING_THREADS

OF_BCRYPT = 0.9

COST = 12
"""As deployed."""

PASSWORD = "eleven green bicycles"

ACCOUNTS = HASHING_QUEUE
"""Each signs in without a pause: all threads work, and the queue is all but full."""

SETTINGS = {
    "BCRYPT_COST": str(COST),
    # A client that leaves before its answer has guessed; one address has all these clients.
    "LOGIN_FAILURES_PER_ADDRESS": "1000000",
    "LOGIN_FAILURES_PER_ACCOUNT_AND_ADDRESS": "1000000",
    "LOGIN_FAILURES_PER_ACCOUNT_PER_HOUR": "1000000",
}

LOOKS_PER_S = 200.0
LOOKERS = 32
SHOWTIMES = 20
ROWS, COLUMNS = 12, 16

MEASURES = ("bcrypt", "logins", "storm", "calm")

SUMMARY = f"logins at bcrypt cost {COST} beside bcrypt alone, and seat maps during a storm of them"

OPEN_ACCOUNTS = """
INSERT INTO users (id, email, email_key, password_hash, role, created_at)
SELECT gen_random_uuid(), name, name, $2, 'customer', now() FROM unnest($1::text[]) AS one (name)
"""


async def open_accounts(server: Server) -> list[str]:
    """The e-mail addresses of accounts that all have one password."""
    emails = [f"login-{number}@example.org" for number in range(ACCOUNTS)]
    digest = base64.b64encode(hashlib.sha256(PASSWORD.encode()).digest())
    stored = bcrypt.hashpw(digest, bcrypt.gensalt(COST)).decode()
    connection = await asyncpg.connect(server.postgres.dsn)
    try:
        await connection.execute(OPEN_ACCOUNTS, emails, stored)
    finally:
        await connection.close()
    return emails


def per_core(report: Report, count: int, cpu_s: float) -> Measurement:
    """A rate by the CPU time it took, not by the clock."""
    whole = measurement(report, report.outcomes)
    return Measurement(
        value=count / cpu_s,
        latency=whole.latency,
        cpu_us=whole.cpu_us,
        elsewhere_cores=whole.elsewhere_cores,
        outcomes=whole.outcomes,
        notes={"per_s": whole.value},
    )


class LoginRuns:
    """Windows of the parts on one server."""

    def __init__(self, bench: Bench, server: Server, emails: list[str], looks: HoldLoad) -> None:
        self._bench = bench
        self._looks = looks
        self._storm = Logins(
            host=HOST,
            port=server.port,
            window=bench.window({"server": server.pid}),
            emails=emails,
            password=PASSWORD,
        )
        self.figures = Figures()

    async def bcrypt(self) -> None:
        """The same comparison in as many threads, without a server."""
        probe = HashProbe(window=self._bench.window({}), threads=HASHING_THREADS, cost=COST)
        report = await self._bench.load(probe, "logins: bcrypt alone")
        done = report.outcomes["same"]
        self.figures.add(
            "bcrypt alone", "per core", "/s", per_core(report, done, report.generator_cpu_s)
        )

    async def logins(self) -> None:
        """All threads and the whole queue busy."""
        report = await self._bench.load(self._storm, "logins: nothing else")
        self._signed_in(report)
        done = report.outcomes.get("200", 0)
        self.figures.add(
            "cinema", "logins per core", "/s", per_core(report, done, report.usage["server"].cpu_s)
        )

    async def storm(self) -> None:
        """The same while others look at seat maps."""
        signed_in, looked = await self._bench.loads([self._storm, self._looks], "logins: the storm")
        self._signed_in(signed_in)
        self._looked("p99 of a seat map, storm", looked)

    async def calm(self) -> None:
        """Seat maps while nobody signs in."""
        looked = await self._bench.load(self._looks, "logins: seat maps alone")
        self._looked("p99 of a seat map, alone", looked)

    def _signed_in(self, report: Report) -> None:
        if set(report.outcomes) != {"200"}:
            self.figures.problem(f"logins: {report.outcomes}")

    def _looked(self, measure: str, report: Report) -> None:
        if set(report.outcomes) != {"200"}:
            self.figures.problem(f"{measure}: {report.outcomes}")
        self.figures.add("cinema", measure, "ms", from_quantile(report, 0.99))


async def run_logins(bench: Bench) -> Outcome:
    """All in turn, as often as there are runs."""
    async with bench.cinema(SETTINGS) as server:
        house = await House.open(server, CUSTOMERS)
        stage = await cinema_stage(house, await house.screen("Foyer", ROWS, COLUMNS), SHOWTIMES)
        looks = HoldLoad(
            host=HOST,
            port=server.port,
            window=bench.window({}),
            connections=LOOKERS,
            showtimes=stage.showtimes,
            labels=stage.labels,
            tokens=[],
            order="spread",
            rate_per_s=LOOKS_PER_S,
            look=True,
        )
        runs = LoginRuns(bench, server, await open_accounts(server), looks)
        for run in range(bench.options.runs):
            for name in interleaved(MEASURES, run):
                await getattr(runs, name)()
    figures = runs.figures
    ratio = (
        figures.of("cinema", "logins per core").median
        / figures.of("bcrypt alone", "per core").median
    )
    storm = figures.of("cinema", "p99 of a seat map, storm").median
    alone = figures.of("cinema", "p99 of a seat map, alone").median
    return Outcome(
        scenario="logins",
        summary=SUMMARY,
        figures=figures.all(),
        targets=[
            Target(
                text="logins a second and core, of bcrypt alone",
                unit="×",
                wanted=OF_BCRYPT,
                measured=ratio,
                at_least=True,
            )
        ],
        notes=[
            f"{ACCOUNTS} accounts sign in without a pause: the queue is all but full",
            f"p99 of seat maps at {LOOKS_PER_S:.0f}/s: {storm:.1f} ms, {alone:.1f} ms alone",
        ],
        problems=figures.problems,
    )


def steps(options: Options) -> int:
    return options.runs * len(MEASURES)


LOGINS = Scenario(name="logins", summary=SUMMARY, steps=steps, run=run_logins)
