"""Routes of jobs: how far one is, and for admins those that failed."""

from __future__ import annotations

from typing import Final

from cinema.domain.principal import ADMIN
from cinema.features.jobs import examples
from cinema.features.jobs.service import JobsService
from cinema.features.jobs.shapes import AdminJob, Job, JobQuery
from cinema.http.context import RequestContext
from cinema.http.pages import PageMeta, listed
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Jobs"


@Operation(
    method="GET",
    path="/api/v1/jobs/{job_id}",
    operation_id="getJob",
    summary="Get the progress of a job",
    description="For its owner, managers of its cinema, and admins. Ask again every few seconds "
    "until `status` is `done`, `failed` or `cancelled`.",
    tag=TAG,
    auth="bearer",
    response=Job,
    response_example=examples.JOB,
    errors=("RETRY",),
)
async def get_job(jobs: JobsService, context: RequestContext) -> Reply:
    """One job."""
    (job_id,) = context.ids
    return success(await jobs.job(context.principal, job_id))


@Operation(
    method="GET",
    path="/api/v1/admin/jobs",
    operation_id="listJobs",
    summary="List jobs of one status, newest first",
    description="Without `status`, jobs that were given up.",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN}),
    query=JobQuery,
    response=list[AdminJob],
    response_example=[examples.FAILED],
    meta=PageMeta,
    errors=("RETRY",),
)
async def list_jobs(jobs: JobsService, context: RequestContext) -> Reply:
    """A page of jobs."""
    return listed(await jobs.jobs(context.query))


@Operation(
    method="POST",
    path="/api/v1/admin/jobs/{job_id}/retry",
    operation_id="retryJob",
    summary="Continue a job that was given up",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN}),
    response=AdminJob,
    response_example=examples.WAITING,
    errors=("JOB_NOT_FAILED", "RETRY", "OUTCOME_UNKNOWN"),
)
async def retry_job(jobs: JobsService, context: RequestContext) -> Reply:
    """Have a failed job continued where it stopped."""
    (job_id,) = context.ids
    return success(await jobs.retry(job_id))


ROUTES: Final = (get_job, list_jobs, retry_job)
