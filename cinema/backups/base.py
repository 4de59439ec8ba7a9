"""Taking a base backup: a copy of all files with the log that makes them consistent."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Final

from cinema import __version__
from cinema.backups.errors import BackupError
from cinema.backups.folder import FORMAT, BackupFolder, Base
from cinema.backups.manifest import check_files, read_manifest
from cinema.backups.programs import Programs, Source, find_programs, run
from cinema.backups.server import connected, read_facts, read_now, read_revision
from cinema.backups.uploads import store_uploads

_ID: Final = "%Y%m%dT%H%M%SZ"


async def take_base(source: Source, folder: BackupFolder, uploads: Path) -> Base:
    """Take a base backup and verify it; if this is interrupted, no backup is left."""
    async with connected(source) as connection:
        facts = await read_facts(connection)
        programs = find_programs(facts.major)
        folder.claim(facts.system_identifier, facts.major, facts.segment_bytes)
        with folder.locked():
            revision = await read_revision(connection)
            began_at = await read_now(connection)
            base_id = began_at.strftime(_ID)
            draft = folder.draft(base_id)
            try:
                await _copy(source, programs, draft / "postgres")
                ended_at = await read_now(connection)
                manifest = await asyncio.to_thread(read_manifest, draft / "postgres")
                problems = await check_files(draft / "postgres", programs)
                if problems:
                    raise BackupError(f"the copy is damaged: {'; '.join(problems)}")
                base = Base(
                    format=FORMAT,
                    id=base_id,
                    began_at=began_at,
                    ended_at=ended_at,
                    timeline=manifest.timeline,
                    start_lsn=manifest.start_lsn,
                    stop_lsn=manifest.stop_lsn,
                    user=source.user,
                    database=source.database,
                    schema_revision=revision,
                    cinema_version=__version__,
                    size_bytes=manifest.size_bytes,
                    # After the database: every file that it names is there.
                    uploads=await asyncio.to_thread(store_uploads, folder, uploads, ended_at),
                )
                folder.keep_timelines(draft / "postgres" / "pg_wal")
                folder.finish(draft, base)
            except BaseException:
                shutil.rmtree(draft, ignore_errors=True)
                raise
    return base


async def _copy(source: Source, programs: Programs, target: Path) -> None:
    address, environment = source.for_programs()
    await run(
        programs,
        "pg_basebackup",
        [
            f"--dbname={address}", f"--pgdata={target}", "--format=plain", "--wal-method=stream",
            "--checkpoint=fast", "--manifest-checksums=SHA256", "--no-password",
            "--label=cinema",
        ],
        environment,
    )  # fmt: skip
