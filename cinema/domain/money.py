"""Amounts of money as clients see them: whole minor units of an ISO 4217 currency."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

import msgspec

MAX_AMOUNT_MINOR = 10**12  # Far above any till, far below 53 bits: safe in every JSON reader.

_NO_DIGITS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_TWO_DIGITS = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD
    CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ
    GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL
    MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR
    PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT
    TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG
"""
_THREE_DIGITS = "BHD IQD JOD KWD LYD OMR TND"

CURRENCY_DIGITS: Mapping[str, int] = MappingProxyType(
    {
        code: digits
        for digits, codes in ((0, _NO_DIGITS), (2, _TWO_DIGITS), (3, _THREE_DIGITS))
        for code in codes.split()
    }
)
"""Digits after the point of each currency's major unit (ISO 4217, active national currencies)."""

Currency = Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
AmountMinor = Annotated[int, msgspec.Meta(ge=0, le=MAX_AMOUNT_MINOR)]


class Money(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An amount in minor units, as in `{"amount": 1250, "currency": "EUR"}` for 12.50 EUR.

    Making one with a currency not in `CURRENCY_DIGITS` raises ValueError; msgspec's decoders turn
    that into a validation error with its path.
    """

    amount: AmountMinor
    currency: Currency

    def __post_init__(self) -> None:
        if self.currency not in CURRENCY_DIGITS:
            raise ValueError(f"Unknown currency {self.currency!r}")

    def __str__(self) -> str:
        digits = CURRENCY_DIGITS[self.currency]
        if not digits:
            return f"{self.amount} {self.currency}"
        major, minor = divmod(self.amount, 10**digits)
        return f"{major}.{minor:0{digits}} {self.currency}"
