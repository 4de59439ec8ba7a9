"""The JSON of a hold, as the contract has it: both baselines decode and encode exactly this."""

import msgspec


class HoldRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /showtimes/{id}/holds`."""

    seats: list[str]


class Money(msgspec.Struct, frozen=True):
    """An amount in minor units."""

    amount: int
    currency: str


class HeldSeat(msgspec.Struct, frozen=True):
    """A seat of a hold, with its price."""

    label: str
    category: str
    price: Money


class Hold(msgspec.Struct, frozen=True):
    """A hold as it is answered."""

    hold_id: str
    showtime_id: str
    status: str
    seats: list[HeldSeat]
    total: Money
    expires_at: str
    epoch: int
    seq: int


class HoldReply(msgspec.Struct, frozen=True):
    """The success envelope around a hold."""

    success: bool
    data: Hold


class Problem(msgspec.Struct, frozen=True):
    """What went wrong, by code."""

    code: str
    message: str
    details: dict[str, list[str]]


class ProblemReply(msgspec.Struct, frozen=True):
    """The error envelope."""

    success: bool
    error: Problem
    request_id: str


SEAT_PRICE = 1250
CURRENCY = "EUR"

decode_request = msgspec.json.Decoder(HoldRequest).decode
encode = msgspec.json.Encoder().encode


def hold_reply(
    hold_id: str,
    showtime_id: str,
    seats: list[str],
    expires_at: str,
    seq: int,
    *,
    status: str = "active",
) -> HoldReply:
    """The success envelope of a hold."""
    price = Money(SEAT_PRICE, CURRENCY)
    return HoldReply(
        success=True,
        data=Hold(
            hold_id=hold_id,
            showtime_id=showtime_id,
            status=status,
            seats=[HeldSeat(label, "regular", price) for label in seats],
            total=Money(SEAT_PRICE * len(seats), CURRENCY),
            expires_at=expires_at,
            epoch=1,
            seq=seq,
        ),
    )
