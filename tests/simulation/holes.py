"""The server with one safeguard taken out, by name."""

from __future__ import annotations

import msgspec

from cinema.actors.kernel import Kernel
from cinema.cluster.node import ClusterNode
from tests.simulation import weakened as more
from tests.simulation.run import Verdict, simulate
from tests.unit.actors import weakened
from tests.unit.actors.scripted_store import RecordingJournal


class Hole(msgspec.Struct, frozen=True, kw_only=True):
    """What takes the place of the real parts."""

    name: str
    found_by: int | None
    """A seed that finds it; None if none is known since the simulator last changed.

    `bin/simulate --weakened NAME` searches for one.
    """
    journal: type[RecordingJournal] = RecordingJournal
    kernel: type[Kernel] = Kernel
    cluster: type[ClusterNode] = ClusterNode
    is_rare: bool = False
    """Found in one seed of hundreds: too long a search for every run of the tests."""

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
        Hole(name="truncation-deletes-fence", found_by=2, journal=more.PrimaryKeyFence),
        Hole(
            name="pipelined-stale-owner",
            found_by=0,
            journal=more.PrimaryKeyFence,
            kernel=weakened.Pipelines,
        ),
        Hole(
            name="load-before-bump", found_by=108, is_rare=True, kernel=weakened.LoadsBeforeTheBump
        ),
        Hole(name="no-lease-wait", found_by=1, kernel=weakened.WaitsForNoLease),
        Hole(name="answers-without-lease", found_by=2, kernel=weakened.RefusesWithoutLease),
        Hole(name="success-before-durable", found_by=0, kernel=weakened.AcknowledgesBeforeDurable),
        Hole(name="answers-before-durable", found_by=1, kernel=weakened.AnswersBeforeDurable),
        Hole(
            name="snapshot-by-former-owner",
            found_by=None,
            is_rare=True,
            journal=weakened.TrustingSnapshots,
        ),
        Hole(name="append-again-after-doubt", found_by=0, kernel=weakened.AppendsAgainAfterDoubt),
        Hole(name="doubt-is-failure", found_by=0, kernel=weakened.CallsDoubtsFailures),
        Hole(name="epoch-not-compared", found_by=1, journal=more.EpochsNotCompared),
        Hole(
            name="truncation-by-former-owner",
            found_by=72,
            is_rare=True,
            journal=more.UnfencedTruncation,
        ),
        Hole(
            name="snapshot-before-durable",
            found_by=3,
            journal=more.SnapshotsOfAnySeq,
            kernel=more.UnsafeSnapshots,
        ),
        Hole(name="release-outlives-takeover", found_by=2, journal=more.ReleaseOutlivesTheTakeover),
        Hole(
            name="own-lease-not-checked",
            found_by=None,
            is_rare=True,
            kernel=more.TakesOverFromAnybodyAsFromItself,
        ),
        Hole(name="lease-from-answer", found_by=None, is_rare=True, kernel=more.LeaseFromTheAnswer),
        Hole(
            name="lease-on-clock-that-stops",
            found_by=None,
            is_rare=True,
            kernel=more.LeaseOnAClockThatStops,
        ),
        Hole(name="clock-taken-for-exact", found_by=2, kernel=more.CertainClock),
        Hole(name="gaps-not-healed", found_by=42, cluster=more.GapsStay),
        Hole(name="denied-after-lost-connection", found_by=26, cluster=more.DeniesAfterLoss),
        Hole(name="archive-forgotten", found_by=1, kernel=more.ForgetsTheArchive),
    )
}
