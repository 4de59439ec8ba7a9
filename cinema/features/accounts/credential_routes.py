"""Routes for the password and the e-mail address of an account."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.features.accounts import examples
from cinema.features.accounts.credential_service import CredentialsService
from cinema.features.accounts.front_door import FrontDoor
from cinema.features.accounts.shapes import (
    AddressInput,
    ChangeEmailInput,
    ChangePasswordInput,
    LinkInput,
    MailRequested,
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
    """What the handlers of this module work with."""

    credentials: CredentialsService
    door: FrontDoor


@Operation(
    method="POST",
    path="/api/v1/auth/forgot-password",
    operation_id="forgotPassword",
    summary="Get a link to set a new password",
    description="The answer is the same for every address, and takes equally long. The link is "
    "valid for one hour and can be used once. At most three mails an hour for an e-mail address, "
    "and twenty for a client.",
    tag=TAG,
    request=AddressInput,
    request_example=examples.ADDRESS,
    response=MailRequested,
    response_example=examples.MAIL_REQUESTED,
    errors=("RATE_LIMITED", "RETRY", "OUTCOME_UNKNOWN"),
)
async def forgot_password(parts: CredentialParts, context: RequestContext) -> Reply:
    """Send a link, if there is an account."""
    client = parts.door.client(context)
    asked = await parts.credentials.forgot_password(context.body.email, client)
    return success(asked, message=ON_ITS_WAY)


@Operation(
    method="POST",
    path="/api/v1/auth/reset-password",
    operation_id="resetPassword",
    summary="Set a new password with a link",
    description="All sessions of the account end. `token` is the part of the link after `#token=`.",
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
    summary="Change the password",
    description="All other sessions of the account end. A wrong current password counts as a "
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
    summary="Verify, change or restore an e-mail address with a link",
    description="What happens depends on the link: the address is verified, changed to the new "
    "one, or changed back to the old one. Changing back ends all sessions and sends a link to set "
    "a new password, because the person who changed the address knew the old password.",
    tag=TAG,
    request=LinkInput,
    request_example=examples.LINK,
    response=User,
    response_example=examples.VERIFIED_USER,
    errors=("INVALID_LINK", "EMAIL_TAKEN", "RETRY", "OUTCOME_UNKNOWN"),
)
async def verify_email(parts: CredentialParts, context: RequestContext) -> Reply:
    """Do what the link is for."""
    client = parts.door.client(context)
    return success(await parts.credentials.use_address_link(context.body.token, client))


@Operation(
    method="POST",
    path="/api/v1/auth/verify-email/resend",
    operation_id="resendVerification",
    summary="Get another link to verify an e-mail address",
    description="The answer is the same for every address, and takes equally long.",
    tag=TAG,
    request=AddressInput,
    request_example=examples.ADDRESS,
    response=MailRequested,
    response_example=examples.MAIL_REQUESTED,
    errors=("RATE_LIMITED", "RETRY", "OUTCOME_UNKNOWN"),
)
async def resend_verification(parts: CredentialParts, context: RequestContext) -> Reply:
    """Send another link, if there is an account whose address is not verified."""
    client = parts.door.client(context)
    asked = await parts.credentials.resend_verification(context.body.email, client)
    return success(asked, message=ON_ITS_WAY)


@Operation(
    method="POST",
    path="/api/v1/auth/change-email",
    operation_id="changeEmail",
    summary="Change the e-mail address",
    description="A link is sent to the new address and is valid for a day. The address changes "
    "when the link is used. Then the old address gets a link that undoes the change within seven "
    "days. The answer is the same if the new address already has an account. A wrong password "
    "counts as a failed login.",
    tag=TAG,
    auth="bearer",
    request=ChangeEmailInput,
    request_example=examples.CREDENTIALS,
    response=MailRequested,
    response_example=examples.MAIL_REQUESTED,
    errors=("NOT_FOUND", "INVALID_CREDENTIALS", "OVERLOADED", "RETRY", "OUTCOME_UNKNOWN"),
)
async def change_email(parts: CredentialParts, context: RequestContext) -> Reply:
    """Send a link to the new address."""
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
