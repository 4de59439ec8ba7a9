"""Routes by which people choose which mails they get."""

from __future__ import annotations

from typing import Final

from cinema.domain.principal import ADMIN
from cinema.features.messages import examples
from cinema.features.messages.choice_service import ChoicesService
from cinema.features.messages.shapes import (
    ChoicesInput,
    KindChoice,
    MessageChoices,
    OffQuery,
    OthersChoices,
)
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Messages"


@Operation(
    method="GET",
    path="/api/v1/auth/me/messages",
    operation_id="getMessageChoices",
    summary="Get which mails you have turned off",
    tag=TAG,
    auth="bearer",
    response=MessageChoices,
    response_example=examples.CHOICES,
    errors=("NOT_FOUND", "RETRY"),
)
async def get_choices(choices: ChoicesService, context: RequestContext) -> Reply:
    """The caller's choices."""
    return success(await choices.choices(context.principal))


@Operation(
    method="PUT",
    path="/api/v1/auth/me/messages",
    operation_id="putMessageChoices",
    summary="Choose which mails you do not want, and what comes to your telephone too",
    description="All mails that you do not name are sent. Receipts, cancellations, moved showtimes "
    "and mails about your account always are. Without `sms` and `phone` none come to a telephone.",
    tag=TAG,
    auth="bearer",
    request=ChoicesInput,
    request_example=examples.CHOICES_INPUT,
    response=MessageChoices,
    response_example=examples.CHOICES,
    errors=("VALIDATION_ERROR", "NOT_FOUND", "RETRY", "OUTCOME_UNKNOWN"),
)
async def put_choices(choices: ChoicesService, context: RequestContext) -> Reply:
    """Replace the caller's choices."""
    return success(await choices.choose(context.principal, context.body))


@Operation(
    method="GET",
    path="/api/v1/admin/users/{user_id}/message-choices",
    operation_id="getMessageChoicesOfUser",
    summary="Get which mails somebody has turned off",
    description="For when somebody says that no mail came. Only the account itself changes it.",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN}),
    response=OthersChoices,
    response_example=examples.CHOICES_OF_USER,
    errors=("RETRY",),
)
async def get_choices_of_user(choices: ChoicesService, context: RequestContext) -> Reply:
    """The choices of an account."""
    (user_id,) = context.ids
    return success(await choices.choices_of(user_id))


@Operation(
    method="POST",
    path="/api/v1/messages/off",
    operation_id="turnMessagesOff",
    summary="Turn off mails of a kind by the link in one",
    description="The address of `List-Unsubscribe` (RFC 8058): the token is all that is needed, "
    "and what the body says does not matter. It may be repeated.",
    tag=TAG,
    request=bytes,
    query=OffQuery,
    response=KindChoice,
    response_example=examples.TURNED_OFF,
    errors=("INVALID_LINK", "RETRY", "OUTCOME_UNKNOWN"),
)
async def turn_off(choices: ChoicesService, context: RequestContext) -> Reply:
    """Turn off what a link is about."""
    return success(await choices.turn_off(context.query.token))


@Operation(
    method="DELETE",
    path="/api/v1/messages/off",
    operation_id="turnMessagesOn",
    summary="Have these mails sent again",
    tag=TAG,
    query=OffQuery,
    response=KindChoice,
    response_example={**examples.TURNED_OFF, "off": False},
    errors=("INVALID_LINK", "RETRY", "OUTCOME_UNKNOWN"),
)
async def turn_on(choices: ChoicesService, context: RequestContext) -> Reply:
    """Take back what `turn_off` did."""
    return success(await choices.turn_on(context.query.token))


ROUTES: Final = (get_choices, put_choices, get_choices_of_user, turn_off, turn_on)
