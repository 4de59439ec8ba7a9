from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prometheus_client.parser import text_string_to_metric_families

from cinema.backups.listing import BackupList, ListedBackup
from cinema.backups.metrics import backup_metrics
from tests.support.telemetry import OF_BACKUPS

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def backup(since: datetime, hole: str | None = None) -> ListedBackup:
    return ListedBackup(
        id=f"{since:%F}",
        timeline=1,
        size_bytes=1,
        cinema_version="1",
        schema_revision="0001",
        since=since,
        until=None,
        hole=hole,
    )


def figures(listed: BackupList) -> dict[str, float]:
    families = text_string_to_metric_families(backup_metrics(listed, NOW))
    return {sample.name: sample.value for family in families for sample in family.samples}


def test_moments_are_told_so_that_a_file_nobody_renews_grows_old() -> None:
    days = [backup(NOW - timedelta(days=2), "log is missing"), backup(NOW - timedelta(days=1))]
    told = figures(BackupList(backups=days, timeline=1, behind_s=4.0))
    assert told == {
        "cinema_backup_bases": 2,
        "cinema_backup_holes": 1,
        "cinema_backup_base_timestamp_seconds": (NOW - timedelta(days=1)).timestamp(),
        "cinema_backup_log_timestamp_seconds": (NOW - timedelta(seconds=4)).timestamp(),
    }
    assert told.keys() == OF_BACKUPS


def test_an_empty_folder_tells_of_no_moment() -> None:
    told = figures(BackupList(backups=[], timeline=None, behind_s=None))
    assert told == {"cinema_backup_bases": 0, "cinema_backup_holes": 0}
