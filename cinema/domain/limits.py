"""Every bound of the kernel that is not a setting, with its unit and its reason."""

from __future__ import annotations

from typing import Final

IDEMPOTENCY_TTL_S: Final = 24 * 3600
"""How long a stored success answers a repeated key. No hold lives longer (see settings), unless it
is paid later."""

ENDED_HOLD_TTL_S: Final = 7 * 24 * 3600
"""How long the archive keeps an ended hold: longer than anybody asks about a hold that led to no
booking, and short enough that the archive does not grow with the journal."""

ENDED_HOLDS_KEPT: Final = 32
"""Ended holds that stay in memory after a snapshot, for questions just after the end."""

REPLY_RECORDS_KEPT: Final = 64
"""Stored successes that stay in memory after a snapshot, for retries within seconds."""

PRICE_LIMIT_MINOR: Final = 2**32 - 1
"""The highest seat price in minor units that fits into a packed hold."""

MOVED_START_LIMIT_S: Final = 30 * 60
"""How far the start may move away from what customers were promised before they may give all of it
back: about as long as the advertisements take."""

FREE_REFUND_S: Final = 7 * 24 * 3600
"""How long customers of a showtime that was moved further may give all of it back: whoever reads
their mails once a week hears of it in time."""

EXCHANGE_GRACE_S: Final = 30 * 24 * 3600
"""Second bound of a hold that is paid by giving up seats of another showtime. A row says whether
that has happened, and only whoever has asked it ends the hold: every node, every few seconds."""

EXPIRIES_PER_COMMAND: Final = 256
"""Holds that one turn expires before it looks at the next command, so that a mass expiry yields."""

EXPIRIES_WITH_WAITLIST: Final = 16
"""As many, if somebody waits for seats: after each of them the list is gone through, which takes up
to a few milliseconds."""

WAITLIST_ENTRIES: Final = 200
"""Entries of one wait list. More would wait in vain: only a share of the seats of a screen is given
back, mostly fewer than this. A snapshot has about 70 bytes for each."""

WAITLIST_END_S: Final = 30 * 60
"""A wait list ends so long before the start: an offer after that would come too late for the way to
the cinema."""

OFFER_TTL_S: Final = 15 * 60
"""How long offered seats are held: whoever is not at the screen has to read the mail first."""

TURN_COMMANDS: Final = 64
"""Commands that an actor takes in one turn before it lets the others run."""

RELOAD_BACKOFF_FIRST_S: Final = 0.02
RELOAD_BACKOFF_LIMIT_S: Final = 1.0
"""Pause between attempts to take a showtime over again after a failure."""

ACTIVATIONS_AT_ONCE: Final = 16
"""Concurrent takeovers of a node; more would only wait for Postgres connections."""

FAILURES_BEFORE_QUARANTINE: Final = 3
"""Consecutive poisoned batches or bugs after which an actor stops and alerts."""

TURNS_BUDGET_NS: Final = 5_000_000
"""Time that the actors of one loop step may take together before sockets get their turn."""

SLICE_NS: Final = 5_000_000
"""Time that long work may take in one step of the loop; even ten slices are not a long step."""

SLICE_PIECES: Final = 1024
"""Pieces of long work in one step, if each takes a few microseconds."""

PASSIVATIONS_PER_STEP: Final = 32
"""Showtimes removed from memory in one step; encoding a usual one takes a tenth of a ms."""

PASSIVATING_AT_ONCE: Final = 128
"""Showtimes that leave memory at a time: enough to fill several batches of snapshots, and so few
that a message for one of them does not wait long."""

ROOM_LOOK_S: Final = 0.005
"""Time between two checks whether more showtimes may leave; a commit takes about as long."""

LANES_END_S: Final = 0.1
"""What lanes get in any case for the batch that they write when the time for a stop is over."""

SURPLUS_PAUSE_TICKS: Final = 10
"""Ticks to skip after a search for surplus showtimes that found none that could leave."""

DUE_PER_STEP: Final = 512
"""Residents with due holds that are woken in one step."""

LEASE_DRIFT_DIVISOR: Final = 10
"""A lease is trusted for nine tenths of its length, because clocks of two machines drift apart."""

SNAPSHOTS_PER_BATCH: Final = 16
"""Snapshots in one statement; a commit of the lane must not wait for many of them."""

ARCHIVED_PER_BATCH: Final = 512
"""Rows for the archive after which a statement takes no further snapshot: some milliseconds."""

TRUNCATED_AT_ONCE: Final = 1000
"""Events that one step of a truncation deletes; commits of the lane wait a few milliseconds."""

DUE_SWEEP_S: Final = 0.5
"""Time between two searches for due holds of showtimes that are not in memory here."""

DUE_SWEEP_GOES_ON_S: Final = 0.1
"""Pause before an incomplete search continues; its activations take at least as long."""

DUE_SWEEP_PAGE: Final = 500
"""Rows that this search reads at a time; it ends after the page in which it has woken as many."""

DUE_SWEEP_PAGES: Final = 20
"""Pages of one search; the next one continues where it ended, so a backlog is read once."""

DUE_SWEEP_AHEAD_S: Final = 2 * DUE_SWEEP_S
"""How far ahead a node searches for itself: what comes due before its next search, and a margin."""

DUE_SHARED_AHEAD_S: Final = 3 * DUE_SWEEP_S
"""The same for others too: they ask for what was found up to one period later."""

DUE_SHARED_LIMIT: Final = DUE_SWEEP_PAGE * DUE_SWEEP_PAGES
"""Showtimes that one node finds for all others; in a larger backlog each searches by itself."""

LEAVING_POLL_S: Final = 0.002
"""First wait for a showtime that moves to another node to settle, about as long as a commit."""

LEAVING_POLL_LIMIT_S: Final = 0.032
"""Longest such wait: hundreds leave together, and none of them can while Postgres is away."""

LEFT_BEHIND_PAGE: Final = 5000
"""Heads in which one statement looks for those of a dead node, in some tens of milliseconds."""

INHERITED_AT_ONCE: Final = 1000
"""Showtimes of a dead node whose epochs one statement raises."""

INHERITED_KEPT_S: Final = 3600
"""How long an inherited showtime may come into memory without raising its epoch again and waiting
for a lease; most showtimes that anybody needs are needed before that."""

INHERITED_KEPT: Final = 100_000
"""Inherited showtimes that are remembered; if there are more, the oldest wait for a lease."""

FORGOTTEN_PER_TICK: Final = 2000
"""Inherited showtimes forgotten in one step."""

TICK_S: Final = 0.1
"""Time between two ticks of the registry: deadlines, passivation, late timers."""

CLOCK_SYNC_S: Final = 10.0
"""Time between two comparisons with Postgres time."""

CLOCK_DRIFT_PPM: Final = 1000
"""Assumed largest drift against Postgres between two comparisons: twice what NTP may slew."""
