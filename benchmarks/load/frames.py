"""As much of WebSocket (RFC 6455) as a load generator needs: no extensions, client side only."""

TEXT = 0x1
CLOSE = 0x8
PING = 0x9
PONG = 0xA

_CONTINUATION = 0x0
_FIN = 0x80
_MASKED = 0x80
_ZERO_KEY = b"\x00\x00\x00\x00"

UPGRADE_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
"""The nonce of RFC 6455's example: the generator does not need a secret one."""

UPGRADE_HEADERS = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": UPGRADE_KEY,
}


class UnreadableFrameError(Exception):
    """The peer sent something other than unmasked frames without extensions."""


def client_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """One client frame, masked with the zero key, so that masking costs nothing."""
    length = len(payload)
    if length < 126:
        return bytes((_FIN | opcode, _MASKED | length)) + _ZERO_KEY + payload
    if length < 1 << 16:
        head = bytes((_FIN | opcode, _MASKED | 126)) + length.to_bytes(2)
    else:
        head = bytes((_FIN | opcode, _MASKED | 127)) + length.to_bytes(8)
    return head + _ZERO_KEY + payload


class FrameReader:
    """Cuts a stream of bytes into (opcode, payload) messages; fragments are joined."""

    __slots__ = ("_fragments", "_opcode", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._fragments = b""
        self._opcode = 0

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The messages that are complete with this data; raises UnreadableFrameError."""
        if self._rest:
            data = self._rest + data
        size = len(data)
        messages: list[tuple[int, bytes]] = []
        start = 0
        while size - start >= 2:
            first = data[start]
            length = data[start + 1]
            payload_at = start + 2
            if length > 125:
                if length == 126:
                    payload_at = start + 4
                elif length == 127:
                    payload_at = start + 10
                else:
                    raise UnreadableFrameError("a masked frame from a server")
                if payload_at > size:
                    break
                length = int.from_bytes(data[start + 2 : payload_at])
            end = payload_at + length
            if end > size:
                break
            # A final text frame, by far the most frequent, skips the other checks.
            if first == _FIN | TEXT and not self._opcode:
                messages.append((TEXT, data[payload_at:end]))
            else:
                self._other(first, data[payload_at:end], messages)
            start = end
        self._rest = data[start:] if start else data
        return messages

    def _other(self, first: int, payload: bytes, messages: list[tuple[int, bytes]]) -> None:
        opcode = first & 0x0F
        if first & 0x70:
            raise UnreadableFrameError("reserved bits are set")
        if opcode >= CLOSE:
            messages.append((opcode, payload))
            return
        if (opcode == _CONTINUATION) != bool(self._opcode):
            raise UnreadableFrameError("a fragment out of order")
        self._opcode = self._opcode or opcode
        self._fragments += payload
        if first & _FIN:
            messages.append((self._opcode, self._fragments))
            self._opcode = 0
            self._fragments = b""


def close_code(payload: bytes) -> int:
    """The code of a close frame's payload; 1005 (no status) when there is none."""
    return int.from_bytes(payload[:2]) if len(payload) >= 2 else 1005
