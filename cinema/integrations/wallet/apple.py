"""Passes of Apple's wallet: a zip of a description, pictures, their digests, and a signature.

The form is that of Apple's "Wallet Passes": `manifest.json` has the SHA-1 digest of each file, and
`signature` is a detached PKCS #7 signature of that, by a certificate that Apple has issued for this
kind of pass.
"""

from __future__ import annotations

import zipfile
from datetime import UTC, datetime
from hashlib import sha1
from io import BytesIO
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import (
    PKCS7Options,
    PKCS7SignatureBuilder,
)

from cinema.integrations.wallet import PassContent
from cinema.integrations.wallet.icon import icon
from cinema.settings.wallet import PassIdentity

MEDIA_TYPE: Final = "application/vnd.apple.pkpass"

ICON_PX: Final = 29
"""The side of the picture on the plainest of displays; others take two or three times that."""

_ALWAYS: Final = (1980, 1, 1, 0, 0, 0)
"""The time of all files: the same ticket gives the same zip but for the signature's time."""


class ApplePasses:
    """See `WalletPasses`."""

    def __init__(self, identity: PassIdentity) -> None:
        self._identity = identity
        names = ("icon.png", "icon@2x.png", "icon@3x.png")
        self._icons = {name: icon(ICON_PX * times) for times, name in enumerate(names, 1)}

    def make(self, content: PassContent) -> bytes:
        """See `WalletPasses.make`; it takes some milliseconds."""
        identity = self._identity
        files = {"pass.json": msgspec.json.encode(_described(content, identity)), **self._icons}
        digests = {
            name: sha1(file, usedforsecurity=False).hexdigest() for name, file in files.items()
        }
        manifest = msgspec.json.encode(digests)
        files |= {"manifest.json": manifest, "signature": _signature(manifest, identity)}
        out = BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zipped:
            for name, file in files.items():
                zipped.writestr(zipfile.ZipInfo(name, _ALWAYS), file, zipfile.ZIP_DEFLATED)
        return out.getvalue()


def _described(content: PassContent, identity: PassIdentity) -> dict[str, Any]:
    words = content.words
    return {
        "formatVersion": 1,
        "passTypeIdentifier": identity.pass_type,
        "teamIdentifier": identity.team,
        "serialNumber": content.serial,
        "organizationName": content.cinema,
        "description": f"{content.film}, {content.seat}",
        "relevantDate": _moment(content.starts_at),
        "expirationDate": _moment(content.useless_from),
        "foregroundColor": "rgb(255, 255, 255)",
        "labelColor": "rgb(236, 196, 92)",
        "backgroundColor": "rgb(24, 32, 48)",
        "barcodes": [
            {
                "format": "PKBarcodeFormatQR",
                "message": content.code,
                "messageEncoding": "iso-8859-1",
                "altText": content.booking_code,
            }
        ],
        "eventTicket": {
            "headerFields": [_field("seat", words["seat"], content.seat)],
            "primaryFields": [_field("film", words["film"], content.film)],
            "secondaryFields": [
                _field("starts", words["starts"], _moment(content.starts_at))
                | {"dateStyle": "PKDateStyleMedium", "timeStyle": "PKDateStyleShort"},
                _field("screen", words["screen"], content.screen),
            ],
            "auxiliaryFields": [
                _field("cinema", words["cinema"], content.cinema),
                _field("ticket", words["ticket"], content.ticket),
            ],
            "backFields": [
                _field("booking", words["booking"], content.booking_code),
                _field("address", words["address"], content.address),
            ],
        },
    }


def _field(key: str, label: str, value: str) -> dict[str, Any]:
    return {"key": key, "label": label, "value": value}


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _signature(manifest: bytes, identity: PassIdentity) -> bytes:
    builder = PKCS7SignatureBuilder().set_data(manifest)
    builder = builder.add_signer(identity.certificate, identity.key, SHA256())
    for issuer in identity.issuers:
        builder = builder.add_certificate(issuer)
    options = [PKCS7Options.DetachedSignature, PKCS7Options.Binary]
    return builder.sign(Encoding.DER, options)
