"""How files of the web app are sent: their types, and for how long they may be kept."""

from __future__ import annotations

import re
from typing import Final

PAGE: Final = "index.html"
ASSETS: Final = "assets"

PAGE_TYPE: Final = "text/html; charset=utf-8"
TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": PAGE_TYPE,
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".woff2": "font/woff2",
}

CODINGS: Final = (("br", ".br"), ("gzip", ".gz"))
"""Codings in which files lie beside the original, the best one first, with their endings."""

FOR_EVER: Final = "public, max-age=31536000, immutable"
"""The name of such a file contains the hash of its content."""

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
WORKERS: Final = ("scanner.js", "tickets.js")
WORKER_POLICY: Final = "default-src 'none'; connect-src 'self'; script-src 'self'"
"""What starts a page without a connection fetches its files, and nothing from elsewhere."""

_STRIPE_SCRIPTS: Final = "https://js.stripe.com https://*.js.stripe.com"
_CHECKOUT: Final = re.compile(r"/showtimes/[^/]+/checkout")

SCANNER: Final = "/staff/scan"
SCANNER_POLICY: Final = POLICY.replace("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'")
"""Codes are read by compiled code, which runs nowhere else. It makes no scripts."""

CARD_POLICY: Final = (
    POLICY.replace("script-src 'self'", f"script-src 'self' {_STRIPE_SCRIPTS}").replace(
        "connect-src 'self'", "connect-src 'self' https://api.stripe.com"
    )
    + f"; frame-src {_STRIPE_SCRIPTS} https://hooks.stripe.com"
)
"""Stripe's script asks for cards in frames of its own; source: Stripe's "Security guide"."""

PERMISSIONS: Final = "camera=(self), geolocation=(), microphone=(), payment=()"

NOT_BUILT: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>cinema</title>
<h1>The pages are not built</h1>
<p>This server works, and its API is at <a href="/docs">/docs</a>. Its web pages were not built.
<p><code>bin/web build</code> builds them, and says what is missing for it. <code>bin/serve</code>
does that by itself at each start. Start the server again afterwards.
</html>
"""


def ending(name: str) -> str:
    """The last ending of a file's name, with its dot."""
    dot = name.rfind(".")
    return "" if dot < 0 else name[dot:]


def accepted(header: str) -> frozenset[str]:
    """The codings that `Accept-Encoding` names, without those that it refuses (`q=0`)."""
    found = set()
    for part in header.lower().split(","):
        name, _, parameters = part.partition(";")
        quality = parameters.replace(" ", "")
        if not (quality.startswith("q=0") and not quality.removeprefix("q=0").strip(".0")):
            found.add(name.strip())
    return frozenset(found)


def is_checkout(path: str) -> bool:
    """Whether a path is that of a page on which somebody pays."""
    return _CHECKOUT.fullmatch(path) is not None


def is_a_page(path: str) -> bool:
    """Whether a path may be one of the app's; what looks like the name of a file is none."""
    return "." not in path.rpartition("/")[2]
