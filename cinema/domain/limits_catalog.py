"""Every bound of accounts and catalogue that is not a setting, with its unit and its reason."""

from __future__ import annotations

from typing import Final

TOKEN_CHARS: Final = 2048
"""Longest token looked at: ours have under 500, and a cache must not hold what clients invent."""

VERIFIED_TOKENS_KEPT: Final = 65_536
"""Verified tokens remembered, about 600 bytes each; beyond it a signature is checked again."""

REFUSED_TOKENS_KEPT: Final = 4096
REFUSED_TOKEN_KEPT_S: Final = 5.0
"""Signed tokens of accounts that may not act, and how long each is refused without asking again."""

ACCOUNT_CHANGES_EVERY_S: Final = 1.0
ACCOUNT_CHANGES_WAIT_S: Final = 2.0
"""Pause between two looks for accounts that changed, and the longest wait for the answer."""

ACCOUNTS_CURRENT_S: Final = 4.0
"""How long after a look tokens are admitted from memory: revocations take effect within 5 s."""

ACCOUNT_CHANGES_OVERLAP_S: Final = 60.0
"""How much further back a look reaches that follows a failed one, for clocks that differ."""

ACCOUNT_CHANGES_KEPT_S: Final = 86_400.0
"""How long changes are kept for nodes that could not look; such a node then forgets all tokens."""

ACCOUNT_CHANGES_PAGE: Final = 1000
"""Changes deleted at once."""

GUESTS_OF_ACCOUNT: Final = 16
"""Guests claimed by an account whose holds it can act on, the latest: a claim is about one, or a
few that used the same address. What they have booked it has, however many they are."""

SIGNING_KEY_BYTES: Final = 32
"""Shortest key for HS256 (RFC 7518, section 3.2)."""

PASSWORD_CHARS_MIN: Final = 8
PASSWORD_CHARS_MAX: Final = 128
"""Bounds of a password, in characters: longer ones only cost time to hash."""

EMAIL_CHARS_MAX: Final = 254
"""Longest address a mail path can carry (RFC 5321, section 4.5.3.1.3)."""

EMAIL_LOCAL_CHARS_MAX: Final = 64
"""Longest part before the @ (RFC 5321, section 4.5.3.1.1)."""

HASHING_THREADS: Final = 2
"""Threads that hash passwords: a storm of logins must leave cores to the seats."""

HASHING_QUEUE: Final = 64
"""Passwords waiting for a thread, some seconds' work; beyond it a login is OVERLOADED."""

HASHING_SHARE: Final = 8
"""Passwords of one address that may wait (default of the setting): a second's work."""

HASHING_RETRY_AFTER_S: Final = 2
"""What a client is told when the queue of passwords is full."""

LOGIN_ADDRESSES_KEPT: Final = 32
"""Addresses remembered for one account as those it was signed in from; the latest stay."""

LOGIN_ADDRESS_DAYS: Final = 180
"""How long an address stays known after its last login, days."""

LOGIN_ADDRESS_NOTED_S: Final = 86_400
"""A login from a known address is written down again after this time, and not before."""

SESSIONS_KEPT: Final = 100
"""Sessions an account may have at a time; a further one ends the oldest."""

USER_AGENT_CHARS: Final = 200
"""Of what a program says of itself, kept so that people recognise their sessions."""

PAGE_DEFAULT: Final = 20
PAGE_LIMIT: Final = 100
"""Items of one page of a list: the default, and the most a client may ask for."""

CURSOR_CHARS: Final = 4096
"""Longest cursor looked at: it holds one sort key and one id."""

IDEMPOTENT_CLEANUP_PAGE: Final = 8
"""Expired records each new one removes: more than one, so that the table shrinks under load."""

LAYOUTS_KEPT: Final = 512
"""Parsed seat plans kept, up to about 100 KiB each for the largest; shared by all showtimes."""

ADS_MINUTES: Final = 20
"""Advertisements and trailers before a film, minutes; part of the showtime."""

CLEANING_MINUTES: Final = 15
"""Time a screen stays empty after a showtime, minutes; not part of it, but no other may start."""

SALES_OPEN_BEFORE_DAYS: Final = 30
"""How long before its start a showtime goes on sale unless its request says otherwise."""

SALES_CLOSE_AFTER_MINUTES: Final = 15
"""How long after its start a showtime is sold unless its request says otherwise: latecomers."""

SCHEDULE_AHEAD_DAYS: Final = 730
"""How far ahead a showtime may start: beyond two years a date is a typing error."""

YEAR_MIN: Final = 1970
YEAR_MAX: Final = 2999
"""Calendar years a filter may name: beyond them lie errors of typing and of arithmetic."""

SEARCH_CHARS: Final = 100
"""Longest text searched for, characters."""

DATABASE_WAIT_S: Final = 5.0
"""Longest wait for a connection, and of a statement for its answer. Postgres itself ends a
transaction before, so this is for one that is frozen or cut off."""

DATABASE_RELEASE_S: Final = 1.0
"""Longest wait for a connection that goes back to be fit for another; then it is cut."""

IDEMPOTENT_WAIT_S: Final = 3.0
"""Longest wait for the first of two requests with one key; below the pool's transaction limit."""

BASE_PRICE_MINOR_MAX: Final = 100_000_000
"""Highest price of a seat, minor units: the database checks it too."""
