"""Routes of price books and quotes."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.domain.pricing.book import BookSettings, TicketType
from cinema.domain.principal import ADMIN, MANAGER, STAFF
from cinema.features.accounts.front_door import FrontDoor
from cinema.features.pricing import examples
from cinema.features.pricing.quote_service import QuotesService
from cinema.features.pricing.service import PricesService
from cinema.features.pricing.shapes import (
    Gone,
    PriceRule,
    PromoCheck,
    Quote,
    QuoteInput,
    RuleFields,
    RuleInput,
    RuleQuery,
    SettingsOfPrices,
    ValidPromo,
)
from cinema.http.conditional import tagged, version_tag, versions_seen
from cinema.http.context import RequestContext
from cinema.http.pages import PageMeta, listed
from cinema.http.responses import Reply, header_lines, success, success_body
from cinema.http.routes import Operation

TAG: Final = "Prices"
WRITERS: Final = frozenset({MANAGER, ADMIN})
READERS: Final = frozenset({STAFF, MANAGER, ADMIN})


class PricingParts(msgspec.Struct, frozen=True):
    """What the handlers of this module work with."""

    prices: PricesService
    quotes: QuotesService
    door: FrontDoor


@Operation(
    method="GET",
    path="/api/v1/cinemas/{cinema_id}/ticket-types",
    operation_id="listTicketTypes",
    summary="List the ticket types of a cinema",
    description="Each cinema has `adult`, which is the default.",
    tag=TAG,
    response=list[TicketType],
    response_example=examples.TICKET_TYPES,
    errors=("RETRY",),
)
async def list_ticket_types(parts: PricingParts, context: RequestContext) -> Reply:
    """The types of tickets."""
    (cinema_id,) = context.ids
    return success(await parts.prices.ticket_types(cinema_id))


@Operation(
    method="GET",
    path="/api/v1/cinemas/{cinema_id}/pricing",
    operation_id="getPriceSettings",
    summary="Get the price settings of a cinema",
    description="Amounts are minor units of `currency`, percentages hundredths of a percent.",
    tag=TAG,
    auth="bearer",
    roles=READERS,
    response=SettingsOfPrices,
    response_example=examples.SETTINGS_SEEN,
    etag=True,
    errors=("RETRY",),
)
async def get_settings(parts: PricingParts, context: RequestContext) -> Reply:
    """The settings of a price book."""
    (cinema_id,) = context.ids
    seen = await parts.prices.settings(context.principal, cinema_id)
    return tagged(context.request, version_tag(seen.version), success_body(seen))


@Operation(
    method="PUT",
    path="/api/v1/cinemas/{cinema_id}/pricing",
    operation_id="changePriceSettings",
    summary="Change the price settings of a cinema",
    description="Ticket types, factors of categories, surcharges, group discounts, fees, bounds "
    "and rounding. What is left out gets its default. `If-Match` names the version that you have "
    "seen.",
    tag=TAG,
    auth="bearer",
    roles=WRITERS,
    request=BookSettings,
    request_example=examples.SETTINGS,
    response=SettingsOfPrices,
    response_example=examples.SETTINGS_SEEN,
    if_match=True,
    etag=True,
    errors=("RETRY", "OUTCOME_UNKNOWN"),
)
async def change_settings(parts: PricingParts, context: RequestContext) -> Reply:
    """Change the settings of a price book."""
    (cinema_id,) = context.ids
    seen = versions_seen(context.request)
    client = parts.door.client(context)
    changed = await parts.prices.change_settings(
        context.principal, cinema_id, context.body, seen, client
    )
    return success(changed, extra=header_lines(etag=version_tag(changed.version)))


@Operation(
    method="GET",
    path="/api/v1/pricing/rules",
    operation_id="listPriceRules",
    summary="List the price rules of a cinema, oldest first",
    tag=TAG,
    auth="bearer",
    roles=READERS,
    query=RuleQuery,
    response=list[PriceRule],
    response_example=[examples.RULE],
    meta=PageMeta,
    errors=("NOT_FOUND", "RETRY"),
)
async def list_rules(parts: PricingParts, context: RequestContext) -> Reply:
    """A page of rules."""
    return listed(await parts.prices.rules(context.principal, context.query))


@Operation(
    method="POST",
    path="/api/v1/pricing/rules",
    operation_id="addPriceRule",
    summary="Add a price rule",
    description="A rule belongs to a group: `time`, `demand` or `type`. Of each group one rule "
    "counts, in this order: the first that meets its conditions, by `priority`, lowest number "
    "first.",
    tag=TAG,
    auth="bearer",
    roles=WRITERS,
    request=RuleInput,
    request_example=examples.RULE_INPUT,
    response=PriceRule,
    response_example=examples.RULE,
    status=201,
    errors=("UNKNOWN_REFERENCE", "PRICE_RULE_LIMIT", "RETRY", "OUTCOME_UNKNOWN"),
    idempotent=True,
)
async def add_rule(parts: PricingParts, context: RequestContext) -> Reply:
    """Add a rule."""
    client = parts.door.client(context)
    rule = await parts.prices.add_rule(context.principal, context.body, client, context.request_key)
    return success(rule, status=201)


@Operation(
    method="GET",
    path="/api/v1/pricing/rules/{rule_id}",
    operation_id="getPriceRule",
    summary="Get a price rule",
    tag=TAG,
    auth="bearer",
    roles=READERS,
    response=PriceRule,
    response_example=examples.RULE,
    etag=True,
    errors=("RETRY",),
)
async def get_rule(parts: PricingParts, context: RequestContext) -> Reply:
    """One rule."""
    (rule_id,) = context.ids
    rule = await parts.prices.rule(context.principal, rule_id)
    return tagged(context.request, version_tag(rule.version), success_body(rule))


@Operation(
    method="PUT",
    path="/api/v1/pricing/rules/{rule_id}",
    operation_id="changePriceRule",
    summary="Change a price rule",
    description="What is left out gets its default. `If-Match` names the version that you have "
    "seen.",
    tag=TAG,
    auth="bearer",
    roles=WRITERS,
    request=RuleFields,
    request_example=examples.RULE_FIELDS,
    response=PriceRule,
    response_example=examples.RULE_CHANGED,
    if_match=True,
    etag=True,
    errors=("RETRY", "OUTCOME_UNKNOWN"),
)
async def change_rule(parts: PricingParts, context: RequestContext) -> Reply:
    """Change a rule."""
    (rule_id,) = context.ids
    seen = versions_seen(context.request)
    client = parts.door.client(context)
    rule = await parts.prices.change_rule(context.principal, rule_id, context.body, seen, client)
    return success(rule, extra=header_lines(etag=version_tag(rule.version)))


@Operation(
    method="DELETE",
    path="/api/v1/pricing/rules/{rule_id}",
    operation_id="deletePriceRule",
    summary="Delete a price rule",
    tag=TAG,
    auth="bearer",
    roles=WRITERS,
    response=Gone,
    response_example=examples.RULE_GONE,
    if_match=True,
    errors=("RETRY", "OUTCOME_UNKNOWN"),
    idempotent=True,
)
async def delete_rule(parts: PricingParts, context: RequestContext) -> Reply:
    """Delete a rule."""
    (rule_id,) = context.ids
    seen = versions_seen(context.request)
    client = parts.door.client(context)
    return success(
        await parts.prices.delete_rule(
            context.principal, rule_id, seen, client, context.request_key
        )
    )


@Operation(
    method="POST",
    path="/api/v1/pricing/calculate",
    operation_id="calculatePrice",
    summary="Calculate what tickets cost, and explain it",
    description="By the cinema's price book, the demand and the time of now; with the `hold_id` of "
    "a hold of yours, what it is booked for, whatever has changed since. Nothing is held. Each "
    "seat has the steps of its price. All fees are included, and taxes are part of the amounts. "
    "`channel` `counter` is for staff of the cinema.",
    tag=TAG,
    auth="optional",
    guests=True,
    request=QuoteInput,
    request_example=examples.QUOTE_INPUT,
    response=Quote,
    response_example=examples.QUOTE,
    errors=(
        *("NOT_FOUND", "FORBIDDEN", "UNKNOWN_SEAT", "DUPLICATE_SEAT", "UNKNOWN_CATEGORY"),
        *("UNKNOWN_TICKET_TYPE", "TICKETS_NOT_ALLOWED", "UNKNOWN_PROMO_CODE", "RATE_LIMITED"),
        *("UNKNOWN_PRODUCT", "HOLD_ENDED", "PAYMENT_IN_PROGRESS", "OVERLOADED", "RETRY"),
    ),
)
async def calculate(parts: PricingParts, context: RequestContext) -> Reply:
    """Calculate a price."""
    address = parts.door.client(context).address
    return success(await parts.quotes.calculate(context.caller, context.body, address))


@Operation(
    method="POST",
    path="/api/v1/pricing/promocode/validate",
    operation_id="validatePromoCode",
    summary="Check whether a promo code can be used for a showtime",
    description="The answer is the same for a code that does not exist and one for something else. "
    "Wrong codes are counted by client address.",
    tag=TAG,
    auth="optional",
    guests=True,
    request=PromoCheck,
    request_example=examples.PROMO_CHECK,
    response=ValidPromo,
    response_example=examples.VALID_PROMO,
    errors=("NOT_FOUND", "UNKNOWN_PROMO_CODE", "RATE_LIMITED", "OVERLOADED", "RETRY"),
)
async def validate_promo(parts: PricingParts, context: RequestContext) -> Reply:
    """Check a code."""
    address = parts.door.client(context).address
    return success(await parts.quotes.validate(context.body, address))


ROUTES: Final = (
    list_ticket_types,
    get_settings,
    change_settings,
    list_rules,
    add_rule,
    get_rule,
    change_rule,
    delete_rule,
    calculate,
    validate_promo,
)
