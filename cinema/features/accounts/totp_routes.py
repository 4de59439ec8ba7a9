"""Routes of second factors."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.features.accounts import examples
from cinema.features.accounts.front_door import FrontDoor
from cinema.features.accounts.shapes import (
    CodeInput,
    Enrolment,
    FactorInput,
    RecoveryCodes,
    SecondFactorOff,
    TotpInput,
)
from cinema.features.accounts.totp_service import FactorsService
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Accounts"


class FactorParts(msgspec.Struct, frozen=True):
    """What the handlers of this module work with."""

    factors: FactorsService
    door: FrontDoor


@Operation(
    method="POST",
    path="/api/v1/auth/mfa/totp",
    operation_id="beginSecondFactor",
    summary="Begin to set up an authenticator",
    description="The authenticator counts after `POST /auth/mfa/verify` with one of its codes. "
    "Until then another call replaces the secret. If an authenticator is on already, send a `code` "
    "of it, or a recovery code, to replace it. It stays valid until a code of the new one was "
    "verified, for which there are 15 minutes.",
    tag=TAG,
    auth="bearer",
    request=TotpInput,
    request_example=examples.TOTP,
    response=Enrolment,
    response_example=examples.ENROLMENT,
    errors=(
        *("NOT_FOUND", "INVALID_CREDENTIALS", "MFA_ALREADY_ON", "OVERLOADED", "RETRY"),
        "OUTCOME_UNKNOWN",
    ),
)
async def begin(parts: FactorParts, context: RequestContext) -> Reply:
    """A secret for an authenticator."""
    client = parts.door.client(context)
    return success(await parts.factors.begin(context.principal, context.body, client))


@Operation(
    method="POST",
    path="/api/v1/auth/mfa/verify",
    operation_id="verifySecondFactor",
    summary="Confirm the authenticator with a code",
    description="From then on a login needs a `code` of the authenticator, or one of the recovery "
    "codes. Each code counts once. The recovery codes are shown only in this answer. An "
    "authenticator that was replaced, and its recovery codes, are not valid any more. Wrong codes "
    "count as failed logins.",
    tag=TAG,
    auth="bearer",
    request=CodeInput,
    request_example=examples.CODE,
    response=RecoveryCodes,
    response_example=examples.RECOVERY_CODES,
    errors=(
        *("NOT_FOUND", "INVALID_CREDENTIALS", "MFA_NOT_ON", "MFA_ALREADY_ON", "RETRY"),
        "OUTCOME_UNKNOWN",
    ),
)
async def verify(parts: FactorParts, context: RequestContext) -> Reply:
    """Confirm an authenticator."""
    client = parts.door.client(context)
    return success(await parts.factors.confirm(context.principal, context.body.code, client))


@Operation(
    method="DELETE",
    path="/api/v1/auth/mfa/totp",
    operation_id="removeSecondFactor",
    summary="Remove the authenticator",
    description="Refused for the roles in `MFA_REQUIRED_FOR`, which can replace it.",
    tag=TAG,
    auth="bearer",
    request=FactorInput,
    request_example=examples.FACTOR,
    response=SecondFactorOff,
    response_example=examples.FACTOR_OFF,
    errors=(
        *("NOT_FOUND", "INVALID_CREDENTIALS", "FORBIDDEN", "MFA_NOT_ON"),
        *("OVERLOADED", "RETRY", "OUTCOME_UNKNOWN"),
    ),
)
async def remove(parts: FactorParts, context: RequestContext) -> Reply:
    """Remove the authenticator of the caller."""
    client = parts.door.client(context)
    return success(await parts.factors.remove(context.principal, context.body, client))


@Operation(
    method="POST",
    path="/api/v1/auth/mfa/recovery-codes",
    operation_id="renewRecoveryCodes",
    summary="Other recovery codes",
    description="Those before are void from then on.",
    tag=TAG,
    auth="bearer",
    request=FactorInput,
    request_example=examples.FACTOR,
    response=RecoveryCodes,
    response_example=examples.RECOVERY_CODES,
    errors=(
        *("NOT_FOUND", "INVALID_CREDENTIALS", "MFA_NOT_ON", "OVERLOADED", "RETRY"),
        "OUTCOME_UNKNOWN",
    ),
)
async def renew_recovery(parts: FactorParts, context: RequestContext) -> Reply:
    """Recovery codes in place of those before."""
    client = parts.door.client(context)
    return success(await parts.factors.renew_recovery(context.principal, context.body, client))


ROUTES: Final = (begin, verify, remove, renew_recovery)
