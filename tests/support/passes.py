"""Certificates for passes of wallets, as their maker would issue them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

PASS_TYPE, TEAM = "pass.example.cinema", "TEAM123456"
NOW = datetime(2026, 6, 1, tzinfo=UTC)

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def rsa_key() -> rsa.RSAPrivateKey:
    """A new key of 2048 bits."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Issued(NamedTuple):
    """A certificate and its key."""

    key: Key
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        form = PrivateFormat.PKCS8
        return self.key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()


def issued(by: Issued | None, key: Key, *, is_issuer: bool, **names: str) -> Issued:
    """A certificate of whoever has `by`, or of oneself; `names` stand in its subject."""
    oids = {
        "cn": NameOID.COMMON_NAME,
        "uid": NameOID.USER_ID,
        "ou": NameOID.ORGANIZATIONAL_UNIT_NAME,
    }
    subject = x509.Name([x509.NameAttribute(oids[name], text) for name, text in names.items()])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if by is None else by.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=3650))
        .not_valid_after(NOW + timedelta(days=36500))
        .add_extension(x509.BasicConstraints(ca=is_issuer, path_length=None), critical=True)
    )
    return Issued(key, builder.sign(key if by is None else by.key, SHA256()))


class Office(NamedTuple):
    """Who issues certificates for passes, and one that it has issued."""

    root: Issued
    issuer: Issued
    own: Issued

    @property
    def pem(self) -> str:
        return self.own.key_pem + self.own.pem + self.issuer.pem


def ec_key() -> ec.EllipticCurvePrivateKey:
    """A new key on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def office_for(key: Key) -> Office:
    """A certificate of this key, issued by somebody whom a root has named."""
    root = issued(None, rsa_key(), is_issuer=True, cn="Root")
    issuer = issued(root, rsa_key(), is_issuer=True, cn="Issuer of passes")
    own = issued(issuer, key, is_issuer=False, cn="Pass", uid=PASS_TYPE, ou=TEAM)
    return Office(root, issuer, own)
