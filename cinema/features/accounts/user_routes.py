"""Routes of accounts for admins: list, change, promote, invite, and read the audit log."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.domain.principal import ADMIN
from cinema.features.accounts import examples
from cinema.features.accounts.front_door import FrontDoor
from cinema.features.accounts.invitation_service import InvitationsService
from cinema.features.accounts.shapes import (
    AdminUser,
    AuditQuery,
    AuditRow,
    Invitation,
    InvitationInput,
    PromoteInput,
    UserPatch,
    UserQuery,
)
from cinema.features.accounts.user_service import UsersService
from cinema.http.conditional import versions_seen
from cinema.http.context import RequestContext
from cinema.http.pages import PageMeta, listed
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Administration"

ADMINS: Final = frozenset({ADMIN})


class UserParts(msgspec.Struct, frozen=True):
    """What the handlers of this module work with."""

    users: UsersService
    invitations: InvitationsService
    door: FrontDoor


@Operation(
    method="GET",
    path="/api/v1/admin/users",
    operation_id="listUsers",
    summary="List accounts, newest first",
    description="`q` is the beginning of an e-mail address, or a part of a name.",
    tag=TAG,
    auth="bearer",
    roles=ADMINS,
    query=UserQuery,
    response=list[AdminUser],
    response_example=[examples.ADMIN_USER],
    meta=PageMeta,
    errors=("RETRY",),
)
async def list_users(parts: UserParts, context: RequestContext) -> Reply:
    """A page of accounts."""
    return listed(await parts.users.users(context.query))


@Operation(
    method="GET",
    path="/api/v1/admin/users/{user_id}",
    operation_id="getUser",
    summary="Get an account",
    tag=TAG,
    auth="bearer",
    roles=ADMINS,
    response=AdminUser,
    response_example=examples.ADMIN_USER,
    errors=("RETRY",),
)
async def get_user(parts: UserParts, context: RequestContext) -> Reply:
    """An account."""
    (user_id,) = context.ids
    return success(await parts.users.user(user_id))


@Operation(
    method="PATCH",
    path="/api/v1/admin/users/{user_id}",
    operation_id="changeUser",
    summary="Disable an account, or give it other cinemas",
    description="A disabled account cannot sign in, and its sessions end within five seconds on "
    "all nodes. `cinema_ids` replace the former ones: with `If-Match`, which names the `version` "
    "that you have seen, nobody else's change is lost. Nobody can disable their own account.",
    tag=TAG,
    auth="bearer",
    roles=ADMINS,
    request=UserPatch,
    request_example={"disabled": True},
    response=AdminUser,
    response_example=examples.DISABLED_USER,
    if_match="optional",
    errors=("UNKNOWN_REFERENCE", "RETRY", "OUTCOME_UNKNOWN"),
)
async def change_user(parts: UserParts, context: RequestContext) -> Reply:
    """Change somebody else's account."""
    (user_id,) = context.ids
    client = parts.door.client(context)
    seen = versions_seen(context.request)
    return success(await parts.users.change(context.principal, user_id, context.body, client, seen))


@Operation(
    method="POST",
    path="/api/v1/admin/users/{user_id}/promote",
    operation_id="promoteUser",
    summary="Give an account a role",
    description="Staff and managers act only at the cinemas of `cinema_ids`, which replace the "
    "former ones; `If-Match` names the `version` that you have seen. The account's sessions end at "
    "once. Nobody can change their own role. Anybody can open an account with somebody else's "
    "e-mail address, so every role but `customer` needs a verified one.",
    tag=TAG,
    auth="bearer",
    roles=ADMINS,
    request=PromoteInput,
    request_example=examples.PROMOTION,
    response=AdminUser,
    response_example=examples.PROMOTED,
    if_match="optional",
    errors=("UNKNOWN_REFERENCE", "EMAIL_NOT_VERIFIED", "RETRY", "OUTCOME_UNKNOWN"),
)
async def promote(parts: UserParts, context: RequestContext) -> Reply:
    """Give somebody else's account a role and its cinemas."""
    (user_id,) = context.ids
    client = parts.door.client(context)
    seen = versions_seen(context.request)
    return success(
        await parts.users.promote(context.principal, user_id, context.body, client, seen)
    )


@Operation(
    method="POST",
    path="/api/v1/admin/users/{user_id}/reset-mfa",
    operation_id="resetSecondFactor",
    summary="Take the authenticator of an account off",
    description="For somebody who has lost it and the recovery codes. Sessions of the account end "
    "at once, and its owner gets a mail. Where the role needs a second factor, its rights come "
    "back with the next one. Nobody can do this to their own account.",
    tag=TAG,
    auth="bearer",
    roles=ADMINS,
    response=AdminUser,
    response_example={**examples.ADMIN_USER, "role": "staff"},
    errors=("MFA_NOT_ON", "RETRY", "OUTCOME_UNKNOWN"),
)
async def reset_factor(parts: UserParts, context: RequestContext) -> Reply:
    """Let somebody else sign in without the authenticator that they have lost."""
    (user_id,) = context.ids
    client = parts.door.client(context)
    return success(await parts.users.reset_factor(context.principal, user_id, client))


@Operation(
    method="POST",
    path="/api/v1/admin/invitations",
    operation_id="invite",
    summary="Invite somebody to an account with a role",
    description="A link is sent that is valid for seven days and can be used once. An earlier link "
    "to the same address becomes invalid.",
    tag=TAG,
    auth="bearer",
    roles=ADMINS,
    request=InvitationInput,
    request_example=examples.INVITATION_INPUT,
    response=Invitation,
    response_example=examples.INVITATION,
    status=201,
    errors=("EMAIL_TAKEN", "UNKNOWN_REFERENCE", "RETRY", "OUTCOME_UNKNOWN"),
)
async def invite(parts: UserParts, context: RequestContext) -> Reply:
    """Send a link to an account."""
    client = parts.door.client(context)
    made = await parts.invitations.invite(context.principal, context.body, client)
    return success(made, status=201)


@Operation(
    method="GET",
    path="/api/v1/admin/audit",
    operation_id="listAudit",
    summary="Read the audit log of accounts, newest first",
    description="The database refuses to change or delete these rows. `from` is included, `to` is "
    "not.",
    tag=TAG,
    auth="bearer",
    roles=ADMINS,
    query=AuditQuery,
    response=list[AuditRow],
    response_example=[examples.AUDIT_ROW],
    meta=PageMeta,
    errors=("RETRY",),
)
async def list_audit(parts: UserParts, context: RequestContext) -> Reply:
    """A page of the audit log."""
    return listed(await parts.users.audit(context.query))


ROUTES: Final = (list_users, get_user, change_user, promote, reset_factor, invite, list_audit)
