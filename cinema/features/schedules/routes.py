"""Routes of schedules: plans for a cinema's coming days, and what it shows on one."""

from __future__ import annotations

from typing import Final

from cinema.domain.principal import ADMIN, MANAGER
from cinema.features.schedules import examples
from cinema.features.schedules.service import SchedulesService
from cinema.features.schedules.shapes import PlanInput, Schedule, SchedulePlan, ScheduleQuery
from cinema.http.context import RequestContext
from cinema.http.pages import shared
from cinema.http.responses import Reply, success, success_body
from cinema.http.routes import Operation

TAG: Final = "Schedules"
PLANNERS: Final = frozenset({ADMIN, MANAGER})


@Operation(
    method="POST",
    path="/api/v1/schedule/generate",
    operation_id="generateSchedule",
    summary="Plan a schedule",
    description="A job makes the plan, which takes about as long as `seconds` says. Get the plan "
    "to see the progress. Nothing is shown or sold before the plan is applied. For managers of the "
    "cinema, and admins.",
    tag=TAG,
    auth="bearer",
    roles=PLANNERS,
    request=PlanInput,
    request_example=examples.PLAN_INPUT,
    response=SchedulePlan,
    response_example=examples.QUEUED,
    status=202,
    errors=("UNKNOWN_REFERENCE", "SCHEDULE_LIMIT", "RETRY", "OUTCOME_UNKNOWN"),
    idempotent=True,
)
async def generate(schedules: SchedulesService, context: RequestContext) -> Reply:
    """Begin to make a plan."""
    plan = await schedules.generate(
        context.principal, context.body, context.request_key, context.request_id
    )
    return success(plan, status=202)


@Operation(
    method="GET",
    path="/api/v1/schedule/plans/{plan_id}",
    operation_id="getSchedulePlan",
    summary="Get a plan and its progress",
    description="While the plan is being made, it shows the best one so far. It is kept for 30 "
    "days.",
    tag=TAG,
    auth="bearer",
    roles=PLANNERS,
    response=SchedulePlan,
    response_example=examples.PLAN,
    errors=("RETRY",),
)
async def get_plan(schedules: SchedulesService, context: RequestContext) -> Reply:
    """One plan."""
    (plan_id,) = context.ids
    return success(await schedules.plan(context.principal, plan_id))


@Operation(
    method="DELETE",
    path="/api/v1/schedule/plans/{plan_id}",
    operation_id="cancelSchedulePlan",
    summary="Cancel a plan that is being made",
    tag=TAG,
    auth="bearer",
    roles=PLANNERS,
    response=SchedulePlan,
    response_example=examples.CANCELLED,
    errors=("SCHEDULE_ENDED", "RETRY", "OUTCOME_UNKNOWN"),
)
async def cancel_plan(schedules: SchedulesService, context: RequestContext) -> Reply:
    """Give up a plan."""
    (plan_id,) = context.ids
    return success(await schedules.cancel(context.principal, plan_id))


@Operation(
    method="POST",
    path="/api/v1/schedule/plans/{plan_id}/apply",
    operation_id="applySchedulePlan",
    summary="Make the showtimes of a plan",
    description="All of them or none. If the calendar has changed so that some can no longer be "
    "made, `details.conflicts` of the refusal names them. Applying a plan again changes nothing "
    "and gives the same answer.",
    tag=TAG,
    auth="bearer",
    roles=PLANNERS,
    response=SchedulePlan,
    response_example=examples.APPLIED,
    errors=(
        "SCHEDULE_NOT_DONE",
        "SCHEDULE_CONFLICT",
        "SCREEN_OCCUPIED",
        "RETRY",
        "OUTCOME_UNKNOWN",
    ),
)
async def apply_plan(schedules: SchedulesService, context: RequestContext) -> Reply:
    """Make the showtimes of a plan."""
    (plan_id,) = context.ids
    return success(await schedules.apply(context.principal, plan_id))


@Operation(
    method="GET",
    path="/api/v1/schedule/cinema/{cinema_id}",
    operation_id="getCinemaSchedule",
    summary="List what a cinema shows on a day",
    description="By start, on a local day of the cinema; without `date`, today. A show after "
    "midnight belongs to the day on which it starts.",
    tag=TAG,
    query=ScheduleQuery,
    response=Schedule,
    response_example=examples.SCHEDULE,
    etag=True,
    errors=("RETRY",),
)
async def get_schedule(schedules: SchedulesService, context: RequestContext) -> Reply:
    """What a cinema shows on a day."""
    (cinema_id,) = context.ids
    return shared(context.request, success_body(await schedules.schedule(cinema_id, context.query)))


ROUTES: Final = (generate, get_plan, cancel_plan, apply_plan, get_schedule)
