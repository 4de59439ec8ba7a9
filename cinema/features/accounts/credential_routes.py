"""Routes of what proves an account: its password, and its e-mail address."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.features.accounts import examples
from cinema.features.accounts.credential_service import CredentialsService
from cinema.features.accounts.front_door import FrontDoor
from cinema.features.accounts.shapes import (
    AddressInput,
    Asked,
    ChangeEmailInput,
    ChangePasswordInput,
    LinkInput,
    ResetInput,
    SessionsEnded,
    User,
)
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Accounts"

ON_ITS_WAY: Final = "If there is an account for it, a message is on its way to that address."


class CredentialParts(msgspec.Struct, frozen=True):
    """What the routes of passwords and addresses work with."""

    credentials: CredentialsService
    door: FrontDoor


@Operation(
    method="POST",
    path="/api/v1/auth/forgot-password",
    operation_id="forgotPassword",
    summary="Get a link to a new password",
    description="The answer is the same, and takes as long, for every address. The link is good "
    "for an hour and once. Three mails an hour for each e-mail address, twenty for each client.",
    tag=TAG,
    request=AddressInput,
    request_example=examples.ADDRESS,
    response=Asked,
    response_example=examples.ASKED,
    errors=("RATE_LIMITED", "RETRY"),
)
async def forgot_password(parts: CredentialParts, context: RequestContext) -> Reply:
    """Have a link sent, if there is an account."""
    client = parts.door.client(context)
    asked = await parts.credentials.forgot_password(context.body.email, client)
    return success(asked, message=ON_ITS_WAY)


@Operation(
    method="POST",
    path="/api/v1/auth/reset-password",
    operation_id="resetPassword",
    summary="Set a new password by a link",
    description="All sessions of the account end. `token` is what stands behind `#token=`.",
    tag=TAG,
    request=ResetInput,
    request_example=examples.RESET,
    response=SessionsEnded,
    response_example=examples.ENDED,
    errors=("INVALID_LINK", "OVERLOADED", "RETRY", "OUTCOME_UNKNOWN"),
)
async def reset_password(parts: CredentialParts, context: RequestContext) -> Reply:
    """Replace a forgotten password."""
    client = parts.door.client(context)
    return success(await parts.credentials.reset_password(context.body, client))


@Operation(
    method="POST",
    path="/api/v1/auth/change-password",
    operation_id="changePassword",
    summary="Set a new password in place of the present one",
    description="All other sessions of the account end. A wrong present password counts as a "
    "failed login.",
    tag=TAG,
    auth="bearer",
    request=ChangePasswordInput,
    request_example=examples.PASSWORD_CHANGE,
    response=SessionsEnded,
    response_example=examples.ENDED,
    errors=("NOT_FOUND", "INVALID_CREDENTIALS", "OVERLOADED", "RETRY", "OUTCOME_UNKNOWN"),
)
async def change_password(parts: CredentialParts, context: RequestContext) -> Reply:
    """Replace the caller's password."""
    client = parts.door.client(context)
    changed = await parts.credentials.change_password(context.principal, context.body, client)
    return success(changed)


@Operation(
    method="POST",
    path="/api/v1/auth/verify-email",
    operation_id="verifyEmail",
    summary="Use a link to do with an e-mail address",
    description="Verifies the address of an account, changes it to one that was asked for, or "
    "restores the one before, as the link says. Restoring ends all sessions and sends a link to a "
    "new password, since whoever changed the address knew the old one.",
    tag=TAG,
    request=LinkInput,
    request_example=examples.LINK,
    response=User,
    response_example=examples.VERIFIED_USER,
    errors=("INVALID_LINK", "EMAIL_TAKEN", "RETRY", "OUTCOME_UNKNOWN"),
)
async def verify_email(parts: CredentialParts, context: RequestContext) -> Reply:
    """Have a link do what it is for."""
    client = parts.door.client(context)
    return success(await parts.credentials.use_address_link(context.body.token, client))


@Operation(
    method="POST",
    path="/api/v1/auth/verify-email/resend",
    operation_id="resendVerification",
    summary="Get another link to verify an e-mail address",
    description="The answer is the same, and takes as long, for every address.",
    tag=TAG,
    request=AddressInput,
    request_example=examples.ADDRESS,
    response=Asked,
    response_example=examples.ASKED,
    errors=("RATE_LIMITED", "RETRY"),
)
async def resend_verification(parts: CredentialParts, context: RequestContext) -> Reply:
    """Have another link sent, if there is an account that waits for one."""
    client = parts.door.client(context)
    asked = await parts.credentials.resend_verification(context.body.email, client)
    return success(asked, message=ON_ITS_WAY)


@Operation(
    method="POST",
    path="/api/v1/auth/change-email",
    operation_id="changeEmail",
    summary="Ask for another e-mail address",
    description="A link is sent to the new address and is good for a day; with its use the address "
    "changes, and the old one gets a link to undo that within seven days. An address that has an "
    "account is answered alike. A wrong password counts as a failed login.",
    tag=TAG,
    auth="bearer",
    request=ChangeEmailInput,
    request_example=examples.CREDENTIALS,
    response=Asked,
    response_example=examples.ASKED,
    errors=("NOT_FOUND", "INVALID_CREDENTIALS", "OVERLOADED", "RETRY"),
)
async def change_email(parts: CredentialParts, context: RequestContext) -> Reply:
    """Have a link sent to the new address."""
    client = parts.door.client(context)
    asked = await parts.credentials.change_email(context.principal, context.body, client)
    return success(asked, message=ON_ITS_WAY)


ROUTES: Final = (
    forgot_password,
    reset_password,
    change_password,
    verify_email,
    resend_verification,
    change_email,
)
