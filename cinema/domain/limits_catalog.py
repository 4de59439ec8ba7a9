"""Every bound of accounts and catalogue that is not a setting, with its unit and its reason."""

from __future__ import annotations

from typing import Final

TOKEN_CHARS: Final = 2048
"""Longer tokens are not looked at: ours have less than 500, and no cache may hold invented ones."""

VERIFIED_TOKENS_KEPT: Final = 65_536
"""Verified tokens that are remembered, about 600 bytes each; others are checked again."""

REFUSED_TOKENS_KEPT: Final = 4096
REFUSED_TOKEN_KEPT_S: Final = 5.0
"""Refused tokens that are remembered, and how long each is refused without asking again."""

ACCOUNT_CHANGES_EVERY_S: Final = 1.0
ACCOUNT_CHANGES_WAIT_S: Final = 2.0
"""Pause between two searches for changed accounts, and the longest wait for the answer."""

ACCOUNT_LOOKS_AT_ONCE: Final = 256
"""Accounts that one statement looks up: a few milliseconds of the database, and of the loop."""

ACCOUNT_LOOKS_WAITING: Final = 8192
"""Accounts that may wait to be looked up, about 600 bytes each; beyond that, OVERLOADED."""

ACCOUNT_LOOK_WAIT_S: Final = 5.0
"""Longest wait for a statement that is shared, as for a connection of one's own."""

ACCOUNTS_CURRENT_S: Final = 4.0
"""How long after such a search tokens are admitted from memory, so that revocations take effect
within 5 s."""

ACCOUNT_CHANGES_OVERLAP_S: Final = 60.0
"""How much further back a search goes after a failed one, because clocks may differ."""

ACCOUNT_CHANGES_KEPT_S: Final = 86_400.0
"""How long changes are kept for nodes that could not read them; later they forget all tokens."""

ACCOUNT_CHANGES_PAGE: Final = 1000
"""Changes deleted at once."""

GUESTS_OF_ACCOUNT: Final = 16
"""Claimed guests whose holds an account can change, the latest ones. A claim is about one guest, or
a few with the same address. Bookings have no such limit."""

SIGNING_KEY_BYTES: Final = 32
"""Shortest key for HS256 (RFC 7518, section 3.2)."""

PASSWORD_CHARS_MIN: Final = 8
PASSWORD_CHARS_MAX: Final = 128
"""Bounds of a password in characters; longer ones only take time to hash."""

EMAIL_CHARS_MAX: Final = 254
"""Longest address in a mail path (RFC 5321, section 4.5.3.1.3)."""

EMAIL_LOCAL_CHARS_MAX: Final = 64
"""Longest part before the @ (RFC 5321, section 4.5.3.1.1)."""

HASHING_THREADS: Final = 2
"""Threads that hash passwords; a rush of logins must leave cores for the seats."""

HASHING_QUEUE: Final = 64
"""Passwords that may wait for a thread, some seconds' work; further logins are OVERLOADED."""

HASHING_SHARE: Final = 8
"""Passwords of one address that may wait (default of the setting): a second's work."""

HASHING_WAIT_S: Final = 10.0
"""How long a password waits for a thread at most, then its login is OVERLOADED. Less than the
balancers wait for an answer, and many times what a full queue takes."""

HASHING_RETRY_AFTER_S: Final = 2
"""`Retry-After` for a client if the queue of passwords is full."""

LOGIN_ADDRESSES_KEPT: Final = 32
"""Addresses of sign-ins that are remembered for one account; the latest stay."""

LOGIN_ADDRESS_DAYS: Final = 180
"""How long an address stays known after its last login, days."""

LOGIN_ADDRESS_NOTED_S: Final = 86_400
"""A login from a known address is noted again only after this time."""

SESSIONS_KEPT: Final = 100
"""Sessions that an account may have at a time; one more ends the oldest."""

USER_AGENT_CHARS: Final = 200
"""Characters of a user agent that are kept, so that people recognise their sessions."""

PAGE_DEFAULT: Final = 20
PAGE_LIMIT: Final = 100
"""Items on one page of a list: the default, and the most that a client may ask for."""

CURSOR_CHARS: Final = 4096
"""Longer cursors are not looked at: a cursor has one sort key and one id."""

IDEMPOTENT_CLEANUP_PAGE: Final = 8
"""Expired records that each new one removes; more than one, so that the table shrinks."""

LAYOUTS_KEPT: Final = 512
"""Parsed seat plans that are kept, up to about 100 KiB each; all showtimes share them."""

ADS_MINUTES: Final = 20
"""Advertisements and trailers before a film, minutes; part of the showtime."""

CLEANING_MINUTES: Final = 15
"""Time a screen stays empty after a showtime, minutes; not part of it, but no other may start."""

SALES_OPEN_BEFORE_DAYS: Final = 30
"""How long before its start a showtime goes on sale unless its request says otherwise."""

SALES_CLOSE_AFTER_MINUTES: Final = 15
"""How long after its start a showtime is sold to latecomers unless its request says otherwise."""

SCHEDULE_AHEAD_DAYS: Final = 730
"""How far ahead a showtime may start; a date after more than two years is a typing error."""

YEAR_MIN: Final = 1970
YEAR_MAX: Final = 2999
"""Calendar years that a filter may name; others are typing errors, or overflow in arithmetic."""

SEARCH_CHARS: Final = 100
"""Longest text in a search, characters."""

DATABASE_WAIT_S: Final = 5.0
"""Longest wait for a connection, and for the answer to a statement. Postgres itself ends a
transaction earlier, so this is for a Postgres that is frozen or cut off."""

DATABASE_RELEASE_S: Final = 1.0
"""Longest wait until a returned connection can be used again; then it is cut."""

IDEMPOTENT_WAIT_S: Final = 3.0
"""Longest wait for the first of two requests with one key; shorter than the pool's transactions."""

BASE_PRICE_MINOR_MAX: Final = 100_000_000
"""Highest price of a seat, minor units; the database checks it too."""
