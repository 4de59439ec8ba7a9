"""The server with one safeguard taken out, by name."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import msgspec

from cinema.actors.kernel import Kernel
from cinema.cluster.node import ClusterNode
from tests.simulation import weakened as more
from tests.simulation.profile import Kind, is_of_kind, profile_of
from tests.simulation.run import Verdict, simulate
from tests.support.actors import weakened
from tests.support.actors.scripted_store import RecordingJournal


class Hole(msgspec.Struct, frozen=True, kw_only=True):
    """What takes the place of the real parts."""

    name: str
    found_by: int
    """A seed that finds it; `bin/simulate --weakened NAME` searches for another."""
    journal: type[RecordingJournal] = RecordingJournal
    kernel: type[Kernel] = Kernel
    cluster: type[ClusterNode] = ClusterNode
    kind: Kind = "any"
    """The seeds in which it can show: no others are searched."""

    def seeds(self, start: int, count: int) -> Iterator[int]:
        """The next `count` seeds of its kind."""
        fitting = (
            seed for seed in itertools.count(start) if is_of_kind(profile_of(seed), self.kind)
        )
        return itertools.islice(fitting, count)

    def simulate(self, seed: int) -> Verdict:
        """A run of the server without this safeguard."""
        return simulate(
            seed,
            journal_type=self.journal,
            kernel_type=self.kernel,
            cluster_type=self.cluster,
        )


HOLES: dict[str, Hole] = {
    hole.name: hole
    for hole in (
        Hole(name="truncation-deletes-fence", found_by=8, journal=more.PrimaryKeyFence),
        Hole(
            name="pipelined-stale-owner",
            found_by=0,
            journal=more.PrimaryKeyFence,
            kernel=weakened.Pipelines,
        ),
        Hole(
            name="load-before-bump",
            kind="watched",
            found_by=95,
            kernel=weakened.LoadsBeforeTheBump,
        ),
        Hole(name="no-lease-wait", found_by=2, kernel=weakened.WaitsForNoLease),
        Hole(name="answers-without-lease", found_by=13, kernel=weakened.RefusesWithoutLease),
        Hole(name="success-before-durable", found_by=0, kernel=weakened.AcknowledgesBeforeDurable),
        Hole(name="answers-before-durable", found_by=3, kernel=weakened.AnswersBeforeDurable),
        Hole(
            name="snapshot-by-former-owner",
            kind="watched",
            found_by=72,
            journal=weakened.TrustingSnapshots,
        ),
        Hole(name="snapshot-kept-by-former-owner", found_by=119, journal=more.KeepsForFormerOwners),
        Hole(name="append-again-after-doubt", found_by=136, kernel=weakened.AppendsAgainAfterDoubt),
        Hole(name="doubt-is-failure", found_by=90, kernel=weakened.CallsDoubtsFailures),
        Hole(name="epoch-not-compared", found_by=1, journal=more.EpochsNotCompared),
        Hole(
            name="truncation-by-former-owner",
            kind="truncated",
            found_by=715,
            journal=more.UnfencedTruncation,
        ),
        Hole(
            name="snapshot-before-durable",
            found_by=4,
            journal=more.SnapshotsOfAnySeq,
            kernel=more.UnsafeSnapshots,
        ),
        Hole(
            name="release-outlives-takeover", found_by=11, journal=more.ReleaseOutlivesTheTakeover
        ),
        Hole(
            name="own-lease-not-checked",
            kind="watched",
            found_by=1604,
            kernel=weakened.TakesOverFromAnybodyAsFromItself,
        ),
        Hole(
            name="lease-from-answer",
            kind="watched",
            found_by=753,
            kernel=weakened.LeaseFromTheAnswer,
        ),
        Hole(
            name="lease-on-clock-that-stops",
            kind="watched",
            found_by=267,
            kernel=weakened.LeaseOnAClockThatStops,
        ),
        Hole(name="clock-taken-for-exact", found_by=10, kernel=more.CertainClock),
        Hole(name="gaps-not-healed", kind="clustered", found_by=84, cluster=more.GapsStay),
        Hole(
            name="denied-after-lost-connection",
            kind="clustered",
            found_by=9,
            cluster=more.DeniesAfterLoss,
        ),
        Hole(name="tries-again-unasked", found_by=550, kernel=more.TriesAgainBehindTheClientsBack),
        Hole(name="sells-by-old-terms", found_by=0, kernel=more.SellsByOldTerms),
        Hole(name="forgets-who-waits", found_by=1, kernel=more.ForgetsWhoWaits),
        Hole(name="sells-what-is-cancelled", found_by=5, kernel=more.SellsWhatIsCancelled),
        Hole(name="books-what-went-back", found_by=24, kernel=more.BooksWhatWentBack),
        Hole(name="screens-shared", found_by=6, journal=more.ScreensAreShared),
        Hole(name="archive-forgotten", found_by=0, kernel=more.ForgetsTheArchive),
    )
}
