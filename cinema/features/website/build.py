"""How this feature is built."""

from __future__ import annotations

from typing import Final

from cinema.features.feature import Feature
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.features.website import routes as website_routes
from cinema.features.website.service import WebsiteService
from cinema.features.website.shapes import DemoAccount, Site
from cinema.http.routes import bound


async def build(node: NodeParts, _offered: Offered) -> Feature:
    settings = node.settings
    site = Site(
        demo_accounts=tuple(
            DemoAccount(role=role, email=email, password=password)
            for role, (email, password) in node.demo_accounts.items()
        ),
        demo_payment=settings.demo_payment,
        stripe_key=settings.stripe_publishable_key or None,
    )
    website = WebsiteService(site)
    (fallback,) = bound(website_routes.FALLBACK_ROUTES, website)
    return Feature(
        routes=bound(website_routes.ROUTES, website),
        fallback=fallback,
    )


WEBSITE: Final = Listed(build)
