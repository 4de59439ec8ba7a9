"""Fiscal devices: some countries ask that what a till records is signed by one."""

from __future__ import annotations

from typing import Protocol

import msgspec


class FiscalSignature(msgspec.Struct, frozen=True, kw_only=True):
    """What a device says of a document: its own name, and the signature as its law writes it."""

    device: str
    text: str


class FiscalSigner(Protocol):
    """Signs the documents of tills."""

    async def sign(self, kind: str, document: bytes) -> FiscalSignature | None:
        """Sign a document of a kind (`business_day`); None where no law asks for it.

        Called while the document is about to be stored, so it has to answer within seconds. It may
        be asked to sign a document that is then not stored, because the transaction failed.
        """


class NoSigner:
    """For countries that ask for nothing."""

    async def sign(self, _kind: str, _document: bytes) -> FiscalSignature | None:
        """No signature."""
        return None
