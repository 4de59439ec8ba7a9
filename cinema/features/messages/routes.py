"""Routes of messages, for admins."""

from __future__ import annotations

from typing import Final

from cinema.domain.principal import ADMIN
from cinema.features.messages import examples
from cinema.features.messages.service import MessagesService
from cinema.features.messages.shapes import (
    MessageKind,
    MessagePreview,
    MessageQuery,
    PreviewQuery,
    SentMessage,
)
from cinema.http.context import RequestContext
from cinema.http.pages import PageMeta, listed
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Messages"


@Operation(
    method="GET",
    path="/api/v1/admin/messages",
    operation_id="listMessages",
    summary="List mails of one status, newest first",
    description="Without `status`, mails that were given up.",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN}),
    query=MessageQuery,
    response=list[SentMessage],
    response_example=[examples.DEAD],
    meta=PageMeta,
    errors=("RETRY",),
)
async def list_messages(messages: MessagesService, context: RequestContext) -> Reply:
    """A page of messages."""
    return listed(await messages.messages(context.query))


@Operation(
    method="POST",
    path="/api/v1/admin/messages/{message_id}/retry",
    operation_id="retryMessage",
    summary="Send a mail that was given up",
    description="It is due at once, and attempts go on for another three days. A mail that is no "
    "longer useful by now is dropped.",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN}),
    response=SentMessage,
    response_example=examples.WAITING,
    errors=("MESSAGE_NOT_DEAD", "RETRY", "OUTCOME_UNKNOWN"),
)
async def retry_message(messages: MessagesService, context: RequestContext) -> Reply:
    """Send a dead message again."""
    (message_id,) = context.ids
    return success(await messages.retry(message_id))


@Operation(
    method="GET",
    path="/api/v1/admin/messages/kinds",
    operation_id="listMessageKinds",
    summary="List the kinds of mails",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN}),
    response=list[MessageKind],
    response_example=[examples.KIND],
)
async def list_kinds(messages: MessagesService, _context: RequestContext) -> Reply:
    """All kinds."""
    return success(messages.kinds())


@Operation(
    method="GET",
    path="/api/v1/admin/messages/preview",
    operation_id="previewMessage",
    summary="See a mail as it is sent, with made-up values",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN}),
    query=PreviewQuery,
    response=MessagePreview,
    response_example=examples.PREVIEW,
    errors=("NOT_FOUND",),
)
async def preview_message(messages: MessagesService, context: RequestContext) -> Reply:
    """A mail that nobody gets."""
    return success(messages.preview(context.query))


ROUTES: Final = (list_messages, retry_message, list_kinds, preview_message)
