"""Routes of the web app's files."""

from __future__ import annotations

from typing import Final

from aiohttp import hdrs

from cinema.domain.rejections import refuse
from cinema.features.website import examples
from cinema.features.website.rules import (
    CARD_POLICY,
    FOR_EVER,
    PAGE_TYPE,
    PERMISSIONS,
    POLICY,
    SCANNER,
    SCANNER_POLICY,
    TYPES,
    WORKER_POLICY,
    accepted,
    is_a_page,
    is_checkout,
)
from cinema.features.website.service import SiteFile, WebsiteService
from cinema.features.website.shapes import Site
from cinema.http.conditional import has_seen
from cinema.http.context import RequestContext
from cinema.http.responses import Medium, Reply, header_lines, success
from cinema.http.routes import Operation

TAG: Final = "Operations"

_PAGE: Final = Medium(
    content_type=PAGE_TYPE, cache_control="no-cache", content_security_policy=POLICY
)
_SCANNER: Final = Medium(
    content_type=PAGE_TYPE, cache_control="no-cache", content_security_policy=SCANNER_POLICY
)
_CHECKOUT: Final = Medium(
    content_type=PAGE_TYPE, cache_control="no-cache", content_security_policy=CARD_POLICY
)
_WORKER: Final = Medium(
    content_type=TYPES[".js"], cache_control="no-cache", content_security_policy=WORKER_POLICY
)
_ASSETS: Final = {
    kind: Medium(content_type=kind, cache_control=FOR_EVER) for kind in TYPES.values()
}


@Operation(
    method="GET",
    path="/",
    operation_id="home",
    summary="The web app",
    tag=TAG,
    hidden=True,
)
async def home(website: WebsiteService, context: RequestContext) -> Reply:
    """The page that all of the app begins with."""
    return _answer(website.page, _PAGE, context, permissions_policy=PERMISSIONS)


@Operation(
    method="GET",
    path="/assets/{name:text}",
    operation_id="asset",
    summary="A file of the web app",
    tag=TAG,
    hidden=True,
)
async def asset(website: WebsiteService, context: RequestContext) -> Reply:
    """One of the files; its content never changes."""
    (name,) = context.params
    file = website.asset(name.decode(errors="replace"))
    if file is None:
        raise refuse("NOT_FOUND")
    return _answer(file, _ASSETS[file.content_type], context)


@Operation(
    method="GET",
    path="/scanner.js",
    operation_id="scannerWorker",
    summary="What starts the scanner without a connection",
    tag=TAG,
    hidden=True,
)
async def scanner_worker(website: WebsiteService, context: RequestContext) -> Reply:
    """The service worker of one page; a browser asks each time whether there is a newer one."""
    return _worker("scanner.js", website, context)


@Operation(
    method="GET",
    path="/tickets.js",
    operation_id="ticketsWorker",
    summary="What starts tickets without a connection",
    tag=TAG,
    hidden=True,
)
async def tickets_worker(website: WebsiteService, context: RequestContext) -> Reply:
    """The service worker of bookings."""
    return _worker("tickets.js", website, context)


@Operation(
    method="GET",
    path="/api/v1/site",
    operation_id="getSite",
    summary="What the web app has to know of this server",
    tag=TAG,
    response=Site,
    response_example=examples.SITE,
)
async def get_site(website: WebsiteService, _: RequestContext) -> Reply:
    """The accounts to try, if there are any, and the ways to pay."""
    return success(website.site)


@Operation(
    method="GET",
    path="/{page}",
    operation_id="page",
    summary="A page of the web app",
    tag=TAG,
    hidden=True,
)
async def page(website: WebsiteService, context: RequestContext) -> Reply:
    """The app finds out itself which page an address is; programs are told that there is none."""
    wanted = context.request.headers.get(hdrs.ACCEPT, "")
    if not (website.is_built and "text/html" in wanted and is_a_page(context.request.path)):
        raise refuse("NOT_FOUND")
    medium = _medium(context.request.path, takes_cards=website.site.stripe_key is not None)
    return _answer(website.page, medium, context, permissions_policy=PERMISSIONS)


def _worker(name: str, website: WebsiteService, context: RequestContext) -> Reply:
    worker = website.worker(name)
    if worker is None:
        raise refuse("NOT_FOUND")
    return _answer(worker, _WORKER, context)


def _medium(path: str, *, takes_cards: bool) -> Medium:
    """Each page may run what it needs, and no more."""
    if path == SCANNER:
        return _SCANNER
    return _CHECKOUT if takes_cards and is_checkout(path) else _PAGE


def _answer(file: SiteFile, medium: Medium, context: RequestContext, **headers: str) -> Reply:
    """The file in the best coding that the client takes, or 304."""
    request = context.request
    coding, body = file.best(accepted(request.headers.get(hdrs.ACCEPT_ENCODING, "")))
    # Each coding is a representation of its own.
    tag = file.tag if not coding else f'{file.tag[:-1]}-{coding}"'
    extra = header_lines(etag=tag, vary="Accept, Accept-Encoding", **headers)
    if has_seen(request, tag):
        return Reply(304, extra=extra, medium=medium)
    if coding:
        extra += header_lines(content_encoding=coding)
    return Reply(200, body, extra, medium)


ROUTES: Final = (home, asset, scanner_worker, tickets_worker, get_site)
FALLBACK_ROUTES: Final = (page,)
