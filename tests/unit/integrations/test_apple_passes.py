"""Passes of Apple's wallet: what is in them, and that others find their signature good."""

from __future__ import annotations

import json
import subprocess
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha1
from io import BytesIO
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from PIL import Image

from cinema.features.tickets.words import WORDS
from cinema.integrations.wallet import PassContent
from cinema.integrations.wallet.apple import ApplePasses
from cinema.settings.wallet import pass_identity
from tests.support.passes import PASS_TYPE, TEAM, Office, ec_key, issued, office_for, rsa_key
from tests.support.programs import program

CONTENT = PassContent(
    serial="019a0c1e-7000-7000-8000-0000000000a3",
    code="AEAX" * 36,
    booking_code="K7M2Q9XA",
    film="Łódź „1“",
    cinema="Kino Aurora",
    address="Hauptstraße 1, Berlin",
    screen="Saal 2",
    seat="F7",
    ticket="Kind",
    starts_at=datetime(2026, 6, 3, 20, 15, tzinfo=UTC),
    useless_from=datetime(2026, 6, 3, 22, 30, tzinfo=UTC),
    words=WORDS["de"],
)


@pytest.fixture(scope="module", params=["rsa", "ec"])
def office(request: pytest.FixtureRequest) -> Office:
    return office_for(rsa_key() if request.param == "rsa" else ec_key())


def made(pem: str) -> dict[str, bytes]:
    identity = pass_identity(pem)
    assert identity is not None
    with zipfile.ZipFile(BytesIO(ApplePasses(identity).make(CONTENT))) as zipped:
        assert zipped.testzip() is None
        return {name: zipped.read(name) for name in zipped.namelist()}


def test_openssl_finds_the_signature_good_and_a_changed_manifest_not(
    office: Office, tmp_path: Path
) -> None:
    files, openssl = made(office.pem), program("openssl", package="openssl")
    (tmp_path / "root.pem").write_text(office.root.pem)
    (tmp_path / "signature").write_bytes(files["signature"])

    def verified(manifest: bytes) -> subprocess.CompletedProcess[str]:
        (tmp_path / "manifest").write_bytes(manifest)
        command = "cms -verify -binary -inform DER -in signature -content manifest -CAfile root.pem"
        return subprocess.run(
            [openssl, *command.split(), "-purpose", "any", "-out", "read"],
            check=False,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )

    good = verified(files["manifest.json"])
    assert good.returncode == 0, good.stderr
    assert (tmp_path / "read").read_bytes() == files["manifest.json"]
    assert verified(files["manifest.json"].replace(b"0", b"1", 1)).returncode != 0


def test_the_manifest_has_the_digest_of_each_file(office: Office) -> None:
    files = made(office.pem)
    signed = {name for name in files if name not in {"manifest.json", "signature"}}
    assert signed == {"pass.json", "icon.png", "icon@2x.png", "icon@3x.png"}
    assert json.loads(files["manifest.json"]) == {
        name: sha1(files[name], usedforsecurity=False).hexdigest() for name in signed
    }


def test_a_pass_shows_its_ticket_and_names_who_signs_it(office: Office) -> None:
    described = json.loads(made(office.pem)["pass.json"])
    assert (described["formatVersion"], described["serialNumber"]) == (1, CONTENT.serial)
    assert (described["passTypeIdentifier"], described["teamIdentifier"]) == (PASS_TYPE, TEAM)
    (code,) = described["barcodes"]
    assert (code["format"], code["message"]) == ("PKBarcodeFormatQR", CONTENT.code)
    assert described["relevantDate"] == "2026-06-03T20:15:00Z"
    assert described["expirationDate"] == "2026-06-03T22:30:00Z"
    ticket = described["eventTicket"]
    shown = {one["label"]: one["value"] for part in ticket.values() for one in part}
    assert shown == {
        "Platz": "F7",
        "Film": "Łódź „1“",
        "Beginn": "2026-06-03T20:15:00Z",
        "Saal": "Saal 2",
        "Kino": "Kino Aurora",
        "Karte": "Kind",
        "Buchung": "K7M2Q9XA",
        "Adresse": "Hauptstraße 1, Berlin",
    }


def test_the_pictures_are_squares_for_each_display(office: Office) -> None:
    files = made(office.pem)
    for name, side in (("icon.png", 29), ("icon@2x.png", 58), ("icon@3x.png", 87)):
        picture = Image.open(BytesIO(files[name]))
        assert (picture.size, picture.format) == ((side, side), "PNG")
        colours = picture.convert("RGB").getcolors()
        assert colours is not None
        assert len(colours) == 2


def test_the_parts_of_the_setting_come_in_any_order(office: Office) -> None:
    pem = f"{office.issuer.pem}\n{office.own.pem}\n# Ours.\n{office.own.key_pem}"
    identity = pass_identity(pem)
    assert identity is not None
    assert (identity.pass_type, identity.team) == (PASS_TYPE, TEAM)
    assert identity.certificate == office.own.certificate
    assert list(identity.issuers) == [office.issuer.certificate]
    assert pass_identity(" \n") is None


def _problems(office: Office) -> Sequence[tuple[str, str]]:
    own, issuer = office.own, office.issuer
    nameless = issued(issuer, own.key, is_issuer=False, cn="Pass", uid=PASS_TYPE)
    other = ed25519.Ed25519PrivateKey.generate()
    form = PrivateFormat.PKCS8
    locked = own.key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"x")).decode()
    odd = other.private_bytes(Encoding.PEM, form, NoEncryption()).decode()
    return [
        ("nonsense", "one private key"),
        (own.pem + issuer.pem, "one private key"),
        (office.pem + issuer.key_pem, "one private key"),
        (locked + own.pem + issuer.pem, "without a password"),
        (own.key_pem, "without a password, and certificates"),
        (odd + own.pem + issuer.pem, "of a kind that signs no passes"),
        (own.key_pem + issuer.pem, "certificate of its key"),
        (own.key_pem + own.pem, "who has issued"),
        (own.key_pem + nameless.pem + issuer.pem, "no team"),
    ]


def test_what_is_wrong_with_the_setting_is_told_without_its_key(office: Office) -> None:
    for text, problem in _problems(office):
        with pytest.raises(ValueError, match=problem) as told:
            pass_identity(text)
        assert "-----" not in str(told.value)
        assert told.value.__cause__ is None
