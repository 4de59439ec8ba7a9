"""Every bound of the HTTP edge that is not a setting, with its unit and its reason."""

from __future__ import annotations

from typing import Final

WRITE_TIMEOUT_S: Final = 20.0
"""How long a reply may wait for a client that does not read."""

STREAM_WRITE_BYTES: Final = 65_536
"""What of a long body a client must have read within `WRITE_TIMEOUT_S`."""

KEEP_ALIVE_S: Final = 75.0
"""Idle time of a connection; longer than the usual minute of a proxy, so the proxy closes first."""

KEPT_CONNECTIONS_S: Final = 2.0
"""How long a draining node waits for one more request on each kept connection, to announce its end.
A balancer that closes idle connections earlier loses no request."""

LINGER_S: Final = 2.0
"""How long and how much is still read after an early refusal, so that a sending client sees it."""

REQUEST_LINE_LIMIT_BYTES: Final = 8192
HEADER_LIMIT_BYTES: Final = 8190
HEADERS_LIMIT: Final = 64
"""The usual bounds of proxies; the first two differ, to distinguish them (see `connection`)."""

BEGUN_HEAD_LIMIT_BYTES: Final = REQUEST_LINE_LIMIT_BYTES + HEADERS_LIMIT * HEADER_LIMIT_BYTES
"""How much of an incomplete head is kept: the longest possible one."""

QUERY_PARAMETERS_LIMIT: Final = 32
"""Parameters of one query; no call here has a third of them."""

REQUEST_ID_LIMIT_CHARACTERS: Final = 64
"""Longest request id of a client; longer ones are cut, because each log line repeats it."""

PREFLIGHT_MAX_AGE_S: Final = 600
"""How long a browser may remember a preflight; Chromium caps it at two hours."""

HSTS_MAX_AGE_S: Final = 31_536_000
"""One year, the least that preload lists accept."""

LISTEN_BACKLOG: Final = 1024
"""Connections that the kernel queues while the loop is busy."""

COMPOSED_LIMIT_CHARACTERS: Final = 5000
"""The longest text that is converted to NFC, a description; the time grows with the square."""

VALIDATION_MESSAGE_LIMIT_CHARACTERS: Final = 500
"""Longest validation message; it may repeat a client's field name, and is cut here."""

UPLOAD_TIMEOUT_S: Final = 60.0
"""How long a file may take to arrive: five megabytes over a slow line."""

UPLOAD_FORM_LIMIT_BYTES: Final = 16_384
"""What a form may have around its file."""

UPLOADS_AT_ONCE: Final = 4
"""Files that arrive at a time, each in memory as a whole; further ones are refused."""
