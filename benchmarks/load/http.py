"""As much of HTTP/1.1 as a load generator needs: requests, replies with a Content-Length."""

from collections.abc import Mapping

MAX_HEAD_BYTES = 64 * 1024
"""A reply head longer than this is not one of ours; better an error than a silent growth."""

_BODILESS = frozenset({204, 304})


class UnreadableReplyError(Exception):
    """The peer sent something other than an HTTP/1.1 reply with a Content-Length."""


def format_request(
    method: str,
    path: str,
    *,
    host: str,
    token: str | None = None,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """A whole request, ready to be written."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    lines.extend(f"{name}: {value}" for name, value in (headers or {}).items())
    if body:
        lines.append("Content-Type: application/json")
    if body or method not in ("GET", "HEAD"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + body


def content_length(head: bytes) -> int:
    """The Content-Length of a reply head, which ends before the blank line."""
    at = head.find(b"\r\nContent-Length: ")
    if at < 0:
        lowered = head.lower()
        at = lowered.find(b"\r\ncontent-length:")
        if at < 0:
            raise UnreadableReplyError("a reply without Content-Length")
    start = head.index(b":", at) + 1
    end = head.find(b"\r\n", start)
    digits = (head[start:end] if end >= 0 else head[start:]).strip()
    if not digits.isdigit():
        raise UnreadableReplyError(f"Content-Length is {digits!r}")
    return int(digits)


class ReplyParser:
    """Cuts a stream of bytes into (status, body) replies."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    @property
    def pending_bytes(self) -> int:
        """Bytes of a reply that has not fully arrived."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The replies that are complete with this data; raises UnreadableReplyError."""
        if self._rest:
            data = self._rest + data
        replies: list[tuple[int, bytes]] = []
        start = 0
        while start < len(data):
            head_end = data.find(b"\r\n\r\n", start)
            if head_end < 0:
                if len(data) - start > MAX_HEAD_BYTES:
                    raise UnreadableReplyError("a reply head without an end")
                break
            head = data[start:head_end]
            status = _status(head)
            body_start = head_end + 4
            length = 0 if status in _BODILESS else content_length(head)
            body_end = body_start + length
            if body_end > len(data):
                break
            replies.append((status, data[body_start:body_end]))
            start = body_end
        self._rest = data[start:] if start else data
        return replies


def _status(head: bytes) -> int:
    if not head.startswith(b"HTTP/1.1 ") or not head[9:12].isdigit():
        raise UnreadableReplyError(f"not a reply: {head[:40]!r}")
    return int(head[9:12])
