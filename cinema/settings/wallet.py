"""The certificate that signs tickets for wallets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.x509 import Certificate, ObjectIdentifier

_KEY_BLOCK: Final = re.compile(
    r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.+?-----END \1-----", re.DOTALL
)


class PassIdentity(NamedTuple):
    """A key, its certificate, and the certificates of who has issued that.

    The certificate names the kind of passes that it signs, and whose they are.
    """

    key: RSAPrivateKey | EllipticCurvePrivateKey
    certificate: Certificate
    issuers: Sequence[Certificate]
    pass_type: str
    team: str


def pass_identity(text: str) -> PassIdentity | None:
    """What a PEM says, in whatever order; None for an empty text. Raises `ValueError`."""
    if not text.strip():
        return None
    # Only those who sign tickets for wallets wait for these.
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509 import load_pem_x509_certificates
    from cryptography.x509.oid import NameOID

    found = list(_KEY_BLOCK.finditer(text))
    if len(found) != 1:
        raise ValueError("has to hold one private key")
    try:
        key = load_pem_private_key(found[0][0].encode(), None)
        certificates = load_pem_x509_certificates(text.encode())
    except (TypeError, ValueError):
        # What it says may quote the text.
        text = "is not a PEM with a private key without a password, and certificates"
        raise ValueError(text) from None
    if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
        raise ValueError("holds a key of a kind that signs no passes")  # noqa: TRY004
    own = [one for one in certificates if one.public_key() == key.public_key()]
    issuers = [one for one in certificates if one not in own]
    if len(own) != 1:
        raise ValueError("has to hold the certificate of its key")
    if not issuers:
        raise ValueError("has to hold the certificate of who has issued that of its key")
    pass_type = _named(own[0], NameOID.USER_ID)
    team = _named(own[0], NameOID.ORGANIZATIONAL_UNIT_NAME)
    if not pass_type or not team:
        raise ValueError("holds a certificate that names no pass type (UID) or no team (OU)")
    return PassIdentity(key, own[0], issuers, pass_type, team)


def problems_of_wallet(text: str) -> Iterator[str]:
    """What is wrong with the setting."""
    try:
        pass_identity(text)
    except ValueError as problem:
        yield f"WALLET_PASS_CERTIFICATE {problem}"


def _named(certificate: Certificate, what: ObjectIdentifier) -> str:
    names = certificate.subject.get_attributes_for_oid(what)
    return str(names[0].value) if names else ""
