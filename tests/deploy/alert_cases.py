"""For each alert, series that make it fire and series that do not; 15 s between two values.

Values are written as promtool takes them: `0+5x40` starts at 0 and grows by 5, 40 times.
"""

from __future__ import annotations

import msgspec

Series = dict[str, str]


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """An alert, looked at after `at`: with `firing` it is there with `labels`, with `quiet` not."""

    alert: str
    firing: Series
    labels: dict[str, str]
    quiet: Series
    at: str = "10m"


E = 'job="machines",instance="backup"'
ON_EXPORTER = {"job": "machines", "instance": "backup"}
A = 'job="cinema",instance="a"'
HOLDS = f'{A},method="POST",route="/holds"'
ROUTE = {"method": "POST", "route": "/holds"}
NODE = {"instance": "a"}
ON_NODE = {"instance": "a", "job": "cinema"}


def _latency(route: str, *, fast: str, slow: str) -> Series:
    """Requests of a route: those within 0.2 s, and all."""
    name = "cinema_http_request_duration_seconds"
    labels = f'{A},method="POST",route="{route}"'
    return {
        f'{name}_bucket{{{labels},le="0.1"}}': fast,
        f'{name}_bucket{{{labels},le="0.2"}}': fast,
        f'{name}_bucket{{{labels},le="5.0"}}': slow,
        f'{name}_bucket{{{labels},le="+Inf"}}': slow,
        f"{name}_count{{{labels}}}": slow,
    }


def _failing(of_hundred: int) -> Series:
    """So many of a hundred requests fail, for seven hours."""
    return {
        f'cinema_http_requests_total{{{HOLDS},status="201"}}': f"0+{100 - of_hundred}x1700",
        f'cinema_http_requests_total{{{HOLDS},status="503"}}': f"0+{of_hundred}x1700",
    }


def _commits(*, fast: str, slow: str) -> Series:
    """Commits: those within 0.067 s, and all, which take up to 2.1 s."""
    name = "cinema_commit_duration_seconds_bucket"
    return {
        f'{name}{{{A},le="0.0671089"}}': fast,
        f'{name}{{{A},le="0.134218"}}': fast,
        f'{name}{{{A},le="2.14748"}}': slow,
        f'{name}{{{A},le="+Inf"}}': slow,
    }


def _decisions(*, accepted: str, lost: str) -> Series:
    labels = f'{A},command="HoldSeats"'
    return {
        f'cinema_decisions_total{{{labels},outcome="accepted"}}': accepted,
        f'cinema_decisions_total{{{labels},outcome="SEAT_UNAVAILABLE"}}': lost,
    }


CASES = (
    Case(
        alert="CinemaDown",
        firing={f"up{{{A}}}": "1x4 0x60"},
        labels={},
        quiet={f"up{{{A}}}": "0x60", 'up{job="cinema",instance="b"}': "1x60"},
    ),
    Case(
        alert="CinemaNodeDown",
        firing={f"up{{{A}}}": "1x8 0x60"},
        labels=ON_NODE,
        quiet={f"up{{{A}}}": "1x37 0x3 1x20"},
    ),
    Case(
        alert="CinemaNodeRestarts",
        firing={f"process_start_time_seconds{{{A}}}": "100x10 200x10 300x10 400x10"},
        labels=ON_NODE,
        quiet={f"process_start_time_seconds{{{A}}}": "100x10 200x10 300x20"},
    ),
    Case(
        alert="CinemaNotReady",
        firing={f'cinema_http_errors_total{{{A},route="/readyz",code="NOT_READY"}}': "0+3x60"},
        labels=NODE,
        quiet={f'cinema_http_errors_total{{{A},route="/readyz",code="NOT_READY"}}': "0+3x6 18x60"},
    ),
    Case(
        alert="CinemaErrorRatio",
        firing={
            f'cinema_http_requests_total{{{HOLDS},status="201"}}': "0+990x60",
            f'cinema_http_requests_total{{{HOLDS},status="503"}}': "0+10x60",
        },
        labels={},
        quiet={
            f'cinema_http_requests_total{{{HOLDS},status="201"}}': "0+997x60",
            f'cinema_http_requests_total{{{HOLDS},status="503"}}': "0+3x60",
            f'cinema_http_requests_total{{{A},route="/readyz",status="503"}}': "0+99x60",
        },
    ),
    Case(
        alert="CinemaServerErrors",
        firing={f'cinema_http_requests_total{{{HOLDS},status="500"}}': "0+3x60"},
        labels=ROUTE,
        quiet={
            f'cinema_http_requests_total{{{HOLDS},status="500"}}': "0+1x60",
            f'cinema_http_requests_total{{{HOLDS},status="409"}}': "0+99x60",
        },
    ),
    Case(
        alert="CinemaInternalErrors",
        firing={f'cinema_http_errors_total{{{HOLDS},code="INTERNAL"}}': "_x80 1x60"},
        labels=ROUTE,
        quiet={
            f'cinema_http_errors_total{{{HOLDS},code="INTERNAL"}}': "1x200",
            f'cinema_http_errors_total{{{HOLDS},code="SEAT_TAKEN"}}': "0+1x200",
        },
        at="30m",
    ),
    Case(
        alert="CinemaInternalErrors",
        firing={f'cinema_http_errors_total{{{HOLDS},code="INTERNAL"}}': "3x110 4x90"},
        labels=ROUTE,
        quiet={f'cinema_http_errors_total{{{HOLDS},code="RETRY"}}': "3x110 4x90"},
        at="30m",
    ),
    Case(
        alert="CinemaErrorsLogged",
        firing={f'cinema_log_events_total{{{A},level="error",event="tick_failed"}}': "_x80 1x60"},
        labels={"instance": "a", "event": "tick_failed"},
        quiet={
            f'cinema_log_events_total{{{A},level="error",event="tick_failed"}}': "1x200",
            f'cinema_log_events_total{{{A},level="error",event="request_failed"}}': "0+1x200",
            f'cinema_log_events_total{{{A},level="error",event="task_failed"}}': "0+1x200",
            f'cinema_log_events_total{{{A},level="warning",event="restore_failed"}}': "0+1x200",
        },
        at="30m",
    ),
    Case(
        alert="CinemaTaskFailed",
        firing={f'cinema_task_failures_total{{{A},task="housekeeping"}}': "_x80 1x60"},
        labels={"instance": "a", "task": "housekeeping"},
        quiet={f'cinema_task_failures_total{{{A},task="housekeeping"}}': "1x200"},
        at="30m",
    ),
    Case(
        alert="CinemaLongSteps",
        firing={f"cinema_loop_longest_step_seconds{{{A}}}": "0.4x60"},
        labels=ON_NODE,
        quiet={f"cinema_loop_longest_step_seconds{{{A}}}": "0.04x36 0.4x4 0.04x20"},
    ),
    Case(
        alert="CinemaMailsLate",
        firing={f"cinema_mails_late_seconds{{{A}}}": "0+60x240"},
        labels={},
        quiet={f"cinema_mails_late_seconds{{{A}}}": "0+60x10 0x230"},
        at="60m",
    ),
    Case(
        alert="CinemaMailsDead",
        firing={f"cinema_mails_dead{{{A}}}": "3x390 4x30"},
        labels={},
        quiet={f"cinema_mails_dead{{{A}}}": "3x420"},
        at="100m",
    ),
    Case(
        alert="CinemaEventsLate",
        firing={f"cinema_events_late_seconds{{{A}}}": "0+60x240"},
        labels={},
        quiet={f"cinema_events_late_seconds{{{A}}}": "0+60x4 0x236"},
        at="60m",
    ),
    Case(
        alert="CinemaReportsLate",
        firing={f'cinema_projection_late_seconds{{{A},projection="reports"}}': "0+60x240"},
        labels={},
        quiet={f'cinema_projection_late_seconds{{{A},projection="reports"}}': "0+60x14 0x226"},
        at="60m",
    ),
    Case(
        alert="CinemaQueueStalled",
        firing={f"cinema_queue_late_seconds{{{A}}}": "0+60x240"},
        labels={},
        quiet={f"cinema_queue_late_seconds{{{A}}}": "0x420"},
        at="60m",
    ),
    Case(
        alert="CinemaWebhookDisabled",
        firing={f'cinema_webhook_endpoints{{{A},state="disabled"}}': "1x390 2x30"},
        labels={},
        quiet={f'cinema_webhook_endpoints{{{A},state="disabled"}}': "1x420"},
        at="100m",
    ),
    Case(
        alert="CinemaInvoicesLate",
        firing={f"cinema_invoices_late_seconds{{{A}}}": "0+60x240"},
        labels={},
        quiet={f"cinema_invoices_late_seconds{{{A}}}": "0+60x4 0x236"},
        at="60m",
    ),
    Case(
        alert="CinemaInvoiceGap",
        firing={f"cinema_invoice_gaps{{{A}}}": "0x30 1x30"},
        labels={},
        quiet={f"cinema_invoice_gaps{{{A}}}": "0x60"},
        at="12m",
    ),
    Case(
        alert="CinemaPaymentsLate",
        firing={f"cinema_stripe_tasks_late_seconds{{{A}}}": "0+60x240"},
        labels={},
        quiet={f"cinema_stripe_tasks_late_seconds{{{A}}}": "0+60x9 0x231"},
        at="60m",
    ),
    Case(
        alert="CinemaPaymentsDiffer",
        firing={f"cinema_payment_differences{{{A}}}": "1x240"},
        labels={},
        quiet={f"cinema_payment_differences{{{A}}}": "1x20 0x220"},
        at="60m",
    ),
    Case(
        alert="CinemaRefundsLate",
        firing={f'cinema_refunds_oldest_seconds{{{A},status="pending"}}': "172500+60x240"},
        labels={},
        quiet={
            f'cinema_refunds_oldest_seconds{{{A},status="pending"}}': "172500+60x10 0x230",
            f'cinema_refunds_oldest_seconds{{{A},status="at_counter"}}': "900000+60x240",
        },
        at="60m",
    ),
    Case(
        alert="CinemaRefundsFailed",
        firing={f'cinema_refunds_oldest_seconds{{{A},status="failed"}}': "86100+60x240"},
        labels={},
        quiet={
            f'cinema_refunds_oldest_seconds{{{A},status="failed"}}': "86100+60x10 0x230",
            f'cinema_refunds_oldest_seconds{{{A},status="at_counter"}}': "900000+60x240",
        },
        at="60m",
    ),
    Case(
        alert="CinemaJobsLate",
        firing={f"cinema_jobs_late_seconds{{{A}}}": "0+60x240"},
        labels={},
        quiet={f"cinema_jobs_late_seconds{{{A}}}": "0+60x10 0x230"},
        at="60m",
    ),
    Case(
        alert="CinemaJobsFailed",
        firing={f"cinema_jobs_failed{{{A}}}": "3x390 4x30"},
        labels={},
        quiet={f"cinema_jobs_failed{{{A}}}": "3x420"},
        at="100m",
    ),
    Case(
        alert="CinemaHousekeepingFails",
        firing={
            f'cinema_log_events_total{{{A},level="warning",event="housekeeping_failed"}}': (
                "1x40 2x40 3x40 4x40 5x40 6x40"
            )
        },
        labels=NODE,
        quiet={
            f'cinema_log_events_total{{{A},level="warning",event="housekeeping_failed"}}': (
                "1x40 2x200"
            )
        },
        at="60m",
    ),
    Case(
        alert="CinemaErrorsBurnFast",
        firing=_failing(10),
        labels={},
        # Often enough for the slow one.
        quiet=_failing(5),
        at="70m",
    ),
    Case(
        alert="CinemaErrorsBurnSlowly",
        firing=_failing(5),
        labels={},
        quiet=_failing(2),
        at="7h",
    ),
    Case(
        alert="CinemaLatencyBurnsFast",
        firing=_latency("/holds", fast="0+20x300", slow="0+100x300"),
        labels=ROUTE,
        quiet=_latency("/holds", fast="0+40x300", slow="0+100x300")
        | _latency("/api/v1/auth/login", fast="0x300", slow="0+100x300")
        | _latency("/api/v1/admin/events", fast="0x300", slow="0+100x300"),
        at="70m",
    ),
    Case(
        alert="CinemaLatencyBurnsSlowly",
        firing=_latency("/holds", fast="0+60x1700", slow="0+100x1700"),
        labels=ROUTE,
        # Over for half an hour.
        quiet=_latency("/holds", fast="0x1400 0+100x300", slow="0+100x1700"),
        at="7h",
    ),
    Case(
        alert="CinemaAvailabilityBurnsFast",
        firing={f"up{{{A}}}": "1x240 0x60"},
        labels={},
        # One of two is enough, and what is over is over.
        quiet={f"up{{{A}}}": "1x160 0x40 1x100", 'up{job="cinema",instance="b"}': "1x160 0x140"},
        at="70m",
    ),
    Case(
        alert="CinemaAvailabilityBurnsSlowly",
        firing={f"up{{{A}}}": "1x1500 0x60 1x140"},
        labels={},
        quiet={f"up{{{A}}}": "1x1640 0x40 1x20"},
        at="7h",
    ),
    Case(
        alert="CinemaSlowRoute",
        firing=_latency("/holds", fast="0+90x60", slow="0+100x60"),
        labels=ROUTE,
        quiet=_latency("/holds", fast="0+98x60", slow="0+100x60")
        | _latency("/api/v1/auth/login", fast="0x60", slow="0+100x60"),
    ),
    Case(
        alert="CinemaSlowSignIn",
        firing=_latency("/api/v1/auth/login", fast="0x60", slow="0+10x60"),
        labels={"route": "/api/v1/auth/login"},
        quiet=_latency("/api/v1/auth/login", fast="0+10x60", slow="0+10x60"),
    ),
    Case(
        alert="CinemaSignInsRefused",
        firing={f'cinema_http_errors_total{{{A},route="/login",code="RATE_LIMITED"}}': "0+30x60"},
        labels={},
        quiet={f'cinema_http_errors_total{{{A},route="/login",code="RATE_LIMITED"}}': "0+3x60"},
    ),
    Case(
        alert="CinemaShowtimeQuarantined",
        firing={f"cinema_quarantined_showtimes{{{A}}}": "0x20 1x40"},
        labels=ON_NODE,
        quiet={f"cinema_quarantined_showtimes{{{A}}}": "0x60"},
    ),
    Case(
        alert="CinemaConflictSpike",
        firing=_decisions(accepted="0+60x60", lost="0+40x60"),
        labels={},
        quiet=_decisions(accepted="0+80x60", lost="0+20x60"),
    ),
    Case(
        alert="CinemaConflictSpike",
        firing=_decisions(accepted="0+10x60", lost="0+40x60"),
        labels={},
        quiet=_decisions(accepted="0+1x60", lost="0+9x60"),
    ),
    Case(
        alert="CinemaOverloaded",
        firing={f'cinema_http_errors_total{{{HOLDS},code="OVERLOADED"}}': "0+3x60"},
        labels=NODE,
        quiet={f'cinema_http_errors_total{{{HOLDS},code="OVERLOADED"}}': "0x20 5x60"},
    ),
    Case(
        alert="CinemaMailboxDepth",
        firing={f"cinema_mailbox_depth{{{A}}}": "2000x60"},
        labels=ON_NODE,
        quiet={f"cinema_mailbox_depth{{{A}}}": "2000x38 10 2000x20"},
    ),
    Case(
        alert="CinemaFenced",
        firing={f"cinema_fenced_total{{{A}}}": "0+1x60"},
        labels=NODE,
        quiet={f"cinema_fenced_total{{{A}}}": "0x20 5x60"},
    ),
    Case(
        alert="CinemaCommitsStalled",
        firing=_commits(fast="0+10x60", slow="0+20x60"),
        labels=NODE,
        quiet=_commits(fast="0+20x60", slow="0+20x60"),
    ),
    Case(
        alert="CinemaSlowCommits",
        firing=_commits(fast="0+97x60", slow="0+100x60"),
        labels=NODE,
        quiet=_commits(fast="0+100x60", slow="0+100x60"),
    ),
    Case(
        alert="CinemaCommitsUnknown",
        firing={f"cinema_commits_unknown_total{{{A}}}": "0x35 1x60"},
        labels=NODE,
        quiet={f"cinema_commits_unknown_total{{{A}}}": "0x5 3x60"},
    ),
    Case(
        alert="CinemaCommitsAborted",
        firing={f"cinema_commits_aborted_total{{{A}}}": "0+1x60"},
        labels=NODE,
        quiet={f"cinema_commits_aborted_total{{{A}}}": "0x20 3x60"},
    ),
    Case(
        alert="CinemaPoolExhausted",
        firing={
            f'cinema_postgres_connections{{{A},state="busy"}}': "12x60",
            f'cinema_postgres_connections{{{A},state="idle"}}': "0x60",
            f"cinema_postgres_connections_limit{{{A}}}": "12x60",
        },
        labels=ON_NODE,
        quiet={
            f'cinema_postgres_connections{{{A},state="busy"}}': "11x60",
            f'cinema_postgres_connections{{{A},state="idle"}}': "12x60",
            f"cinema_postgres_connections_limit{{{A}}}": "12x60",
        },
    ),
    Case(
        alert="CinemaReplicaUnused",
        firing={
            f'cinema_replica_reads_total{{{A},outcome="replica"}}': "0+10x100",
            f'cinema_replica_reads_total{{{A},outcome="behind"}}': "0+5x100",
            f'cinema_replica_reads_total{{{A},outcome="resting"}}': "0+10x100",
        },
        labels=NODE,
        quiet={
            f'cinema_replica_reads_total{{{A},outcome="replica"}}': "0+20x100",
            f'cinema_replica_reads_total{{{A},outcome="behind"}}': "0+5x100",
        },
        at="20m",
    ),
    Case(
        alert="CinemaDatabaseUnsafe",
        firing={f"cinema_database_risks{{{A}}}": "0x20 1x40"},
        labels=ON_NODE,
        quiet={f"cinema_database_risks{{{A}}}": "1x20 0x40"},
    ),
    Case(
        alert="CinemaClockUncertain",
        firing={f"cinema_clock_uncertainty_seconds{{{A}}}": "0.3x60"},
        labels=ON_NODE,
        quiet={f"cinema_clock_uncertainty_seconds{{{A}}}": "0.3x30 0.01x30"},
    ),
    Case(
        alert="CinemaTakeoverBlocked",
        firing={
            f"cinema_cluster_frozen{{{A}}}": "0x10 1x60",
            'up{job="cinema",instance="b"}': "1x15 0x60",
        },
        labels={},
        quiet={
            f"cinema_cluster_frozen{{{A}}}": "1x60",
            'up{job="cinema",instance="b"}': "1x60",
        },
    ),
    Case(
        alert="CinemaMembershipFrozen",
        firing={f"cinema_cluster_frozen{{{A}}}": "0x30 1x60"},
        labels=ON_NODE,
        quiet={f"cinema_cluster_frozen{{{A}}}": "0x38 1x60"},
    ),
    Case(
        alert="CinemaNoView",
        firing={f"cinema_cluster_view_version{{{A}}}": "0x60"},
        labels=ON_NODE,
        quiet={f"cinema_cluster_view_version{{{A}}}": "0x38 4x60"},
    ),
    Case(
        alert="CinemaViewsDiffer",
        firing={
            f"cinema_cluster_view_version{{{A}}}": "4x60",
            'cinema_cluster_view_version{job="cinema",instance="b"}': "4x20 5x60",
        },
        labels={},
        quiet={
            f"cinema_cluster_view_version{{{A}}}": "4x21 5x60",
            'cinema_cluster_view_version{job="cinema",instance="b"}': "4x20 5x60",
        },
    ),
    Case(
        alert="CinemaMembersMissing",
        firing={
            f"cinema_cluster_members{{{A}}}": "1x60",
            f"up{{{A}}}": "1x60",
            'up{job="cinema",instance="b"}': "0x60",
        },
        labels={},
        quiet={
            f"cinema_cluster_members{{{A}}}": "1x20 2x60",
            f"up{{{A}}}": "1x60",
            'up{job="cinema",instance="b"}': "0x20 1x60",
        },
    ),
    Case(
        alert="CinemaDrainStuck",
        firing={f"cinema_cluster_draining{{{A}}}": "0x20 1x60"},
        labels=ON_NODE,
        quiet={f"cinema_cluster_draining{{{A}}}": "0x36 1x60"},
    ),
    Case(
        alert="CinemaForwardingInDoubt",
        firing={f'cinema_forwarded_messages_total{{{A},outcome="in_doubt"}}': "0x30 9x60"},
        labels=NODE,
        quiet={
            f'cinema_forwarded_messages_total{{{A},outcome="in_doubt"}}': "0x30 2x60",
            f'cinema_forwarded_messages_total{{{A},outcome="sent"}}': "0+9x60",
        },
    ),
    Case(
        alert="CinemaMisdirected",
        firing={
            f'cinema_forwarded_messages_total{{{A},outcome="misdirected"}}': "0+10x60",
            f'cinema_forwarded_messages_total{{{A},outcome="sent"}}': "0+100x60",
        },
        labels=NODE,
        quiet={
            f'cinema_forwarded_messages_total{{{A},outcome="misdirected"}}': "0+1x60",
            f'cinema_forwarded_messages_total{{{A},outcome="sent"}}': "0+100x60",
        },
    ),
    Case(
        alert="CinemaDiskFull",
        firing={f"cinema_disk_free_bytes{{{A}}}": "4e8x60"},
        labels=ON_NODE,
        quiet={f"cinema_disk_free_bytes{{{A}}}": "6e8x60"},
    ),
    Case(
        alert="CinemaDiskFilling",
        firing={
            f"cinema_disk_free_bytes{{{A}}}": "11e9-2e6x2000",
            f"cinema_disk_total_bytes{{{A}}}": "1e11x2000",
        },
        labels=ON_NODE,
        quiet={
            f"cinema_disk_free_bytes{{{A}}}": "11e9-1e5x2000",
            f"cinema_disk_total_bytes{{{A}}}": "1e11x2000",
        },
        at="8h",
    ),
    Case(
        alert="CinemaFilesRunOut",
        firing={f"process_open_fds{{{A}}}": "900x60", f"process_max_fds{{{A}}}": "1024x60"},
        labels=ON_NODE,
        quiet={f"process_open_fds{{{A}}}": "500x60", f"process_max_fds{{{A}}}": "1024x60"},
    ),
    Case(
        alert="CinemaLogLost",
        firing={f"cinema_log_chunks_dropped_total{{{A}}}": "0x30 1x60"},
        labels=NODE,
        quiet={f"cinema_log_chunks_dropped_total{{{A}}}": "7x60"},
    ),
    Case(
        alert="CinemaBackupBehind",
        firing={f"cinema_backup_log_timestamp_seconds{{{E}}}": "0+15x10 150x60"},
        labels=ON_EXPORTER,
        quiet={f"cinema_backup_log_timestamp_seconds{{{E}}}": "0+15x60"},
    ),
    Case(
        alert="CinemaBackupOld",
        firing={f"cinema_backup_base_timestamp_seconds{{{E}}}": "0x12000"},
        labels=ON_EXPORTER,
        quiet={f"cinema_backup_base_timestamp_seconds{{{E}}}": "86400x12000"},
        at="49h",
    ),
    Case(
        alert="CinemaBackupHole",
        firing={f"cinema_backup_holes{{{E}}}": "1x60"},
        labels=ON_EXPORTER,
        quiet={f"cinema_backup_holes{{{E}}}": "0x60"},
    ),
)
