"""Who may see which job, and what admins do with failed ones."""

from __future__ import annotations

from uuid import UUID

from cinema.domain.paging import BY_MOMENT, Page, after, page
from cinema.domain.principal import ADMIN, MANAGER, Principal
from cinema.domain.rejections import refuse
from cinema.domain.times import from_us, to_us
from cinema.features.jobs.shapes import AdminJob, Job, JobQuery
from cinema.features.jobs.store import JobsRepository
from cinema.features.refusals import found, granted


class JobsService:
    """Use cases of jobs; each refuses with a code of `docs/errors.md`."""

    def __init__(self, jobs: JobsRepository) -> None:
        self._jobs = jobs

    async def job(self, principal: Principal, job_id: UUID) -> Job:
        """A job, for its owner, managers of its cinema and admins. Refuses NOT_FOUND, RETRY."""
        job = found(await self._jobs.find(job_id))
        if not _may_see(principal, job):
            raise refuse("NOT_FOUND")
        return Job(**{name: getattr(job, name) for name in Job.__struct_fields__})

    async def jobs(self, query: JobQuery) -> Page[AdminJob]:
        """Jobs of one status, newest first."""
        position = granted(after(query.cursor, BY_MOMENT))
        rows = await self._jobs.page_of(
            query.status,
            after=None if position is None else (from_us(position[0]), position[1]),
            limit=query.limit + 1,
        )
        return page(rows, query.limit, lambda one: (to_us(one.created_at), one.id))

    async def retry(self, job_id: UUID) -> AdminJob:
        """Continue a failed job where it stopped. Refuses JOB_NOT_FAILED, NOT_FOUND."""
        if await self._jobs.revive(job_id):
            return found(await self._jobs.find(job_id))
        found(await self._jobs.find(job_id))
        raise refuse("JOB_NOT_FAILED")


def _may_see(principal: Principal, job: AdminJob) -> bool:
    if principal.role == ADMIN:
        return True
    if job.owner_id is not None and job.owner_id.bytes == principal.user_id:
        return True
    return (
        principal.role == MANAGER
        and job.cinema_id is not None
        and job.cinema_id.bytes in principal.cinema_ids
    )
