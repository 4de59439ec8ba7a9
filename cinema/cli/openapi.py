"""`cinema openapi`."""

from __future__ import annotations

import sys

import msgspec

from cinema.app.document import declared_document


def print_document() -> None:
    """Print the document of the API as JSON."""
    sys.stdout.write(msgspec.json.encode(declared_document()).decode())
