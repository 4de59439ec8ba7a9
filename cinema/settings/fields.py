"""What can be set, with types, defaults, units and bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

import msgspec

_PROJECT = Path(__file__).resolve().parents[2]
_HOME = _PROJECT if (_PROJECT / "pyproject.toml").exists() else Path.cwd()


class Secret(str):
    """A text that is not shown by `repr`, and so not by logs and tracebacks.

    `file` is where it came from; some files are read again while the server runs.
    """

    __slots__ = ("file",)
    file: Path | None

    def __new__(cls, text: str = "", file: Path | None = None) -> Self:
        """Make a secret of a text, and of the file from which it was read."""
        secret = super().__new__(cls, text)
        secret.file = file
        return secret

    def __repr__(self) -> str:
        return "Secret('…')" if self else "Secret('')"


def _about(
    doc: str,
    unit: str = "",
    *,
    low: int | None = None,
    high: int | None = None,
    shown: str | None = None,
) -> msgspec.Meta:
    """What a person has to know about a setting, besides its name, type and default.

    `low` and `high` are inclusive; `shown` replaces a default that depends on the machine.
    """
    return msgspec.Meta(description=doc, ge=low, le=high, extra={"unit": unit, "shown": shown})


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings; each is the environment variable of its name in capitals."""

    environment: Annotated[
        Literal["development", "production"],
        _about("production refuses everything that is safe only in development"),
    ] = "development"
    host: Annotated[str, _about("address to listen on")] = "127.0.0.1"
    port: Annotated[int, _about("port to listen on; 0 takes a free one", low=0, high=65_535)] = 8080
    nodes: Annotated[
        int,
        _about(
            "processes of a local cluster, which share PORT; 1 serves alone",
            "nodes",
            low=1,
            high=32,
        ),
    ] = 1
    public_url: Annotated[
        str, _about("address for clients, such as https://tickets.example.com; https in production")
    ] = ""
    trusted_proxies: Annotated[
        tuple[str, ...],
        _about("networks whose X-Forwarded-For and X-Forwarded-Proto are trusted, with commas"),
    ] = ()
    webhook_allowed_networks: Annotated[
        tuple[str, ...],
        _about(
            "networks of this side to which webhooks may be sent all the same, with commas, also "
            "without TLS; empty sends to public addresses only"
        ),
    ] = ()
    allowed_origins: Annotated[
        tuple[str, ...],
        _about("origins of pages that may call, with commas; * for any (not in production)"),
    ] = ()
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], _about("least severe log events to write")
    ] = "info"
    shutdown_grace_seconds: Annotated[
        int, _about("how long requests may take to end when the server stops", "s", low=0, high=300)
    ] = 10

    control_host: Annotated[
        str, _about("address of the control endpoint; customers must not reach it")
    ] = "127.0.0.1"
    control_port: Annotated[
        int,
        _about(
            "port of the control endpoint; 0 takes a free one and writes it to DATA_DIR/control",
            low=0,
            high=65_535,
        ),
    ] = 0
    control_token: Annotated[
        Secret,
        _about(
            "admin tokens of the control endpoint, newest first, each of 32 bytes or more, or "
            "holder:token; the file is read again while the server runs; generated in development; "
            "without one, production has no control endpoint"
        ),
    ] = Secret()

    data_dir: Annotated[
        Path, _about("folder of the embedded Postgres and generated secrets", shown="data")
    ] = _HOME / "data"
    upload_dir: Annotated[
        Path,
        _about(
            "folder of posters, which nodes on several machines share; default DATA_DIR/uploads",
            shown="",
        ),
    ] = Path()
    max_upload_size_mb: Annotated[
        int, _about("largest file that may be uploaded", "MiB", low=1, high=64)
    ] = 5
    s3_url: Annotated[
        str,
        _about("bucket of posters, as s3://bucket or s3://bucket/prefix, instead of UPLOAD_DIR"),
    ] = ""
    s3_endpoint: Annotated[
        str, _about("address of a store that speaks S3's language; empty for Amazon's")
    ] = ""
    s3_region: Annotated[str, _about("region of the bucket; us-east-1 by default")] = ""
    s3_access_key_id: Annotated[
        Secret, _about("who we are to the store; empty for the role of the machine")
    ] = Secret()
    s3_secret_access_key: Annotated[Secret, _about("the key to that")] = Secret()
    database_url: Annotated[
        Secret, _about("Postgres >= 17, as postgresql://…; empty starts the embedded one")
    ] = Secret()
    database_read_url: Annotated[
        Secret,
        _about("a replica of DATABASE_URL for reads of the catalogue and of bookings"),
    ] = Secret()
    database_pooler_url: Annotated[
        Secret,
        _about(
            "a pooler of transactions in front of DATABASE_URL, for requests and jobs; what needs"
            " sessions of its own goes past it"
        ),
    ] = Secret()
    database_pool_size: Annotated[
        int, _about("most connections to Postgres, or to its pooler", "connections", low=3, high=90)
    ] = 12
    kernel_pool_size: Annotated[
        int,
        _about(
            "most connections for showtimes that come into memory, besides those of commit lanes",
            "connections",
            low=2,
            high=32,
        ),
    ] = 8
    catalog_cache_mb: Annotated[
        int,
        _about(
            "memory of a node for answers of the catalogue; 0 for no cache, in Redis neither",
            "MiB",
            low=0,
            high=4096,
        ),
    ] = 32
    backup_dir: Annotated[
        Path, _about("folder of base backups and archived log; on another disk", shown="backups")
    ] = _HOME / "backups"
    backup_keep: Annotated[
        int, _about("base backups that are kept, each with its log", "backups", low=1, high=1000)
    ] = 7
    backup_interval_hours: Annotated[
        int, _about("time between two base backups of `backup --follow`", "h", low=1, high=8760)
    ] = 24
    redis_url: Annotated[
        Secret,
        _about("Redis, as redis://…; makes this node part of a cluster; a single node needs none"),
    ] = Secret()

    node_host: Annotated[
        str, _about("host by which clients, balancers and nodes reach this node; default HOST")
    ] = ""
    node_port: Annotated[
        int,
        _about(
            "port by which clients and balancers reach this node; 0 for PORT", low=0, high=65_535
        ),
    ] = 0
    node_weight: Annotated[
        int, _about("share of the showtimes, relative to other nodes' weights", low=1, high=1000)
    ] = 100
    cluster_port: Annotated[
        int,
        _about("port for the other nodes; 0 takes a free one", low=0, high=65_535),
    ] = 7400
    cluster_secret: Annotated[
        Secret,
        _about(
            "secret by which nodes trust each other, or several on lines of their own while it "
            "changes; by default made from JWT_SECRET_KEY"
        ),
    ] = Secret()
    heartbeat_timeout_ms: Annotated[
        int,
        _about("silence after which a node is declared dead", "ms", low=500, high=60_000),
    ] = 2000
    drain_seconds: Annotated[
        int,
        _about("how long a stopping node may hand its showtimes over", "s", low=1, high=600),
    ] = 30

    jwt_secret_key: Annotated[
        Secret,
        _about(
            "keys that sign access tokens, one a line, newest first, each of 32 bytes or more; "
            "older keys verify the tokens that they have signed; the file is read again while the "
            "server runs; generated in development"
        ),
    ] = Secret()
    jwt_access_token_expire_minutes: Annotated[
        int, _about("life of an access token", "min", low=1, high=10_080)
    ] = 15
    refresh_idle_days: Annotated[
        int,
        _about("how long a session lives after its last refresh", "days", low=1, high=365),
    ] = 7
    refresh_total_days: Annotated[
        int, _about("how long a session lives with all its refreshes", "days", low=1, high=3650)
    ] = 30
    refresh_grace_seconds: Annotated[
        int,
        _about(
            "how long a used refresh token gives the same answer; later it ends the session",
            "s",
            low=0,
            high=60,
        ),
    ] = 10
    smtp_url: Annotated[
        Secret,
        _about(
            "mail server, as smtp+starttls://user:password@host:587, smtps:// (TLS from the start) "
            "or smtp:// (no TLS; a password only on this machine); empty writes to DATA_DIR/mailbox"
        ),
    ] = Secret()
    mail_from: Annotated[str, _about("sender of mails, with or without a name")] = (
        "Cinema <no-reply@localhost>"
    )
    sms_api_url: Annotated[
        str,
        _about(
            "where short messages are posted, as https://… (docs/messages.md); empty sends none"
        ),
    ] = ""
    sms_api_token: Annotated[
        Secret, _about("token for that; its file is read again while the server runs")
    ] = Secret()
    encryption_keys: Annotated[
        Secret,
        _about(
            "keys for encrypted values, newest first, each 32 random bytes in base64; older keys "
            "decrypt what they have encrypted; generated in development"
        ),
    ] = Secret()
    ticket_signing_keys: Annotated[
        Secret,
        _about(
            "keys that sign tickets, newest first, each 32 random bytes in base64; tickets of "
            "older keys are still let in; the file is read again while the server runs; generated "
            "in development"
        ),
    ] = Secret()
    wallet_pass_certificate: Annotated[
        Secret,
        _about(
            "PEM with the private key of a pass type, its certificate and that of its issuer, for "
            "tickets in Apple's wallet; its file is read again while the server runs; without one "
            "there are none"
        ),
    ] = Secret()
    erasure_grace_days: Annotated[
        int,
        _about(
            "time between the deletion of an account and its erasure; a sign-in cancels it",
            "days",
            low=0,
            high=90,
        ),
    ] = 7
    mfa_required_for: Annotated[
        Literal["nobody", "admin", "manager", "staff"],
        _about(
            "lowest role that needs a second factor; without an authenticator such an account acts "
            "as a customer"
        ),
    ] = "nobody"
    bcrypt_cost: Annotated[
        int,
        _about(
            "work factor of password hashes; each step doubles the work; a stored hash changes at "
            "the next login",
            low=10,
            high=16,
        ),
    ] = 12
    hashing_per_address: Annotated[
        int,
        _about(
            "passwords of one client address that may wait to be hashed; more get 503",
            "passwords",
            low=1,
            high=64,
        ),
    ] = 8
    login_window_seconds: Annotated[
        int,
        _about(
            "time in which failed logins are counted, by account and address, and by address",
            "s",
            low=1,
            high=86_400,
        ),
    ] = 300
    login_failures_per_account_and_address: Annotated[
        int,
        _about(
            "failed logins in that time for one account from one client address",
            "logins",
            low=1,
            high=1_000_000,
        ),
    ] = 10
    login_failures_per_address: Annotated[
        int,
        _about(
            "failed logins in that time from one client address, for all accounts",
            "logins",
            low=1,
            high=1_000_000,
        ),
    ] = 100
    login_failures_per_account_per_hour: Annotated[
        int,
        _about(
            "failed logins in an hour for one account; after that, only addresses from which "
            "somebody has signed in to it may try",
            "logins",
            low=1,
            high=1_000_000,
        ),
    ] = 30
    registrations_per_hour_per_address: Annotated[
        int,
        _about("accounts opened in an hour from one client address", low=1, high=1_000_000),
    ] = 5
    guests_per_hour_per_address: Annotated[
        int,
        _about("guests that may begin in an hour from one client address", low=1, high=1_000_000),
    ] = 5
    guest_bookings_per_hour_per_email: Annotated[
        int,
        _about(
            "bookings of guests in an hour for one e-mail address",
            "bookings",
            low=1,
            high=1_000_000,
        ),
    ] = 10
    order_requests_per_minute_per_address: Annotated[
        int,
        _about(
            "requests in a minute with links of guests' bookings from one client address",
            "requests",
            low=1,
            high=1_000_000,
        ),
    ] = 120
    promo_guesses_per_hour_per_address: Annotated[
        int,
        _about(
            "promo codes that are not valid, in an hour from one client address",
            "requests",
            low=1,
            high=1_000_000,
        ),
    ] = 60
    gift_card_looks_per_minute: Annotated[
        int,
        _about(
            "looks at balances of gift cards in a minute, of one account and from one client "
            "address; wrong codes in bookings count too",
            "requests",
            low=1,
            high=1_000_000,
        ),
    ] = 10
    gift_card_orders_per_hour: Annotated[
        int,
        _about(
            "orders of gift cards in an hour, of one account and from one client address",
            "requests",
            low=1,
            high=1_000_000,
        ),
    ] = 10
    gift_card_order_max_minor: Annotated[
        int,
        _about(
            "the most on a gift card that a customer buys online, in minor units of its currency",
            "minor units",
            low=500,
            high=100_000_000,
        ),
    ] = 50_000
    refreshes_per_minute: Annotated[
        int,
        _about(
            "refreshes in a minute of one session, and failed ones from one client address",
            "requests",
            low=1,
            high=1_000_000,
        ),
    ] = 60
    mails_per_hour_per_email: Annotated[
        int,
        _about(
            "mails of one purpose (a forgotten password, an address to verify) in an hour for one "
            "e-mail address",
            "mails",
            low=1,
            high=1_000_000,
        ),
    ] = 3
    mails_per_hour_per_address: Annotated[
        int,
        _about("the same for one client address", "mails", low=1, high=1_000_000),
    ] = 20
    reset_link_minutes: Annotated[
        int, _about("how long a link to reset a password is valid", "min", low=5, high=1440)
    ] = 60
    verification_link_hours: Annotated[
        int, _about("how long a link to verify an e-mail address is valid", "h", low=1, high=168)
    ] = 24
    email_change_link_hours: Annotated[
        int, _about("how long a link to change an e-mail address is valid", "h", low=1, high=168)
    ] = 24
    email_undo_days: Annotated[
        int, _about("how long a change of the e-mail address can be undone", "days", low=1, high=90)
    ] = 7
    guest_hours: Annotated[
        int,
        _about(
            "how long a guest lives; begins anew with a renewal while the guest holds seats",
            "h",
            low=1,
            high=168,
        ),
    ] = 24
    order_link_days: Annotated[
        int,
        _about(
            "how long after the end of a showtime the link to a guest's booking is valid; then the "
            "guest's e-mail address is deleted",
            "days",
            low=1,
            high=365,
        ),
    ] = 30
    invitation_link_days: Annotated[
        int, _about("how long an invitation is valid", "days", low=1, high=90)
    ] = 7
    export_link_days: Annotated[
        int,
        _about(
            "how long the link to an export of an account is good, and the export kept",
            "days",
            low=1,
            high=30,
        ),
    ] = 7
    exports_per_day_per_user: Annotated[
        int,
        _about("exports of one account in 24 hours", "exports", low=1, high=100),
    ] = 3
    reviews_need_scan: Annotated[
        bool,
        _about(
            "whether a film is reviewed only by who was let in with a ticket; else by who has "
            "booked a showtime of it that is over"
        ),
    ] = True
    review_words: Annotated[
        tuple[str, ...],
        _about(
            "words, or several in a row, that keep a review from being seen before a moderator has "
            "decided, with commas; case and accents do not count"
        ),
    ] = ("fuck", "shit", "bitch", "cunt", "arschloch", "fick", "hurensohn", "casino", "bitcoin")
    recommendation_experiment: Annotated[
        str,
        _about(
            "ways to order recommended films that are compared, with the percent of customers that "
            "each has, control first, as in ranking:popular=10,full=90; empty: all have full"
        ),
    ] = ""
    writes_per_minute_per_user: Annotated[
        int,
        _about(
            "changes in a minute by one user, without commands to holds",
            "requests",
            low=1,
            high=1_000_000,
        ),
    ] = 120
    holds_per_second_per_user: Annotated[
        int,
        _about(
            "holds placed, extended and released in a second by one customer, on average",
            "commands",
            low=1,
            high=1_000_000,
        ),
    ] = 5
    holds_per_second_per_staff: Annotated[
        int,
        _about("the same by one staff member", "commands", low=1, high=1_000_000),
    ] = 20
    holds_per_second_per_address: Annotated[
        int,
        _about(
            "the same by all customers at one client address", "commands", low=1, high=1_000_000
        ),
    ] = 100
    holds_burst_seconds: Annotated[
        int,
        _about("the commands of this many seconds may come at once", "s", low=1, high=3600),
    ] = 6
    stripe_secret_key: Annotated[
        Secret,
        _about(
            "key of Stripe's API, sk_live_… in production and sk_test_… in development; its file "
            "is read again while the server runs; without one there are no payments by card"
        ),
    ] = Secret()
    stripe_publishable_key: Annotated[
        str,
        _about(
            "what the pages show Stripe, pk_live_… or pk_test_…, of the same account and mode as "
            "STRIPE_SECRET_KEY; without it the pages offer no payment by card"
        ),
    ] = ""
    stripe_webhook_secret: Annotated[
        Secret,
        _about(
            "what signs Stripe's webhooks, whsec_…, newest first; two while it is rotated; its "
            "file is read again while the server runs"
        ),
    ] = Secret()
    stripe_api_base: Annotated[
        str, _about("another address of Stripe's API, as https://…; empty for its own")
    ] = ""
    with_stripe_double: Annotated[
        bool,
        _about(
            "start a double of Stripe, to try payments by card with test cards; refused in "
            "production",
        ),
    ] = False
    demo_payment: Annotated[
        bool,
        _about(
            "accept the payment method demo, which always succeeds; refused in production",
        ),
    ] = True
    demo_data: Annotated[
        bool,
        _about(
            "insert cinemas, films, showtimes and users to try things with; refused in production",
        ),
    ] = True
    demo_past: Annotated[
        bool,
        _about(
            "with DEMO_DATA: make up what was booked, scanned and reviewed in the weeks before, "
            "while the server runs already"
        ),
    ] = True

    seat_hold_ttl_seconds: Annotated[
        int, _about("life of a hold that is not extended", "s", low=1, high=86_400)
    ] = 600
    seat_hold_max_seconds: Annotated[
        int, _about("life of a hold with all its extensions", "s", low=1, high=86_400)
    ] = 1800
    payment_window_seconds: Annotated[
        int, _about("how long a hold waits for its payment", "s", low=60, high=86_400)
    ] = 600
    payment_grace_seconds: Annotated[
        int,
        _about(
            "how long its seats are kept after that, until it is certain that no payment comes",
            "s",
            low=60,
            high=86_400,
        ),
    ] = 600
    seats_per_hold: Annotated[int, _about("most seats in one hold", "seats", low=1, high=100)] = 10
    live_holds_per_customer: Annotated[
        int, _about("most live holds of a customer in one showtime", "holds", low=1, high=1000)
    ] = 4
    seats_per_staff_hold: Annotated[
        int, _about("most seats in one hold of staff, who sell at a till", "seats", low=1, high=100)
    ] = 50
    live_holds_per_staff: Annotated[
        int, _about("most live holds of one staff member in a showtime", "holds", low=1, high=1000)
    ] = 50

    unpaid_seats_per_customer: Annotated[
        int,
        _about(
            "most unpaid seats that a customer may hold over all showtimes",
            "seats",
            low=1,
            high=1_000_000,
        ),
    ] = 20
    unpaid_seats_per_unverified: Annotated[
        int,
        _about("the same while the e-mail address is not verified", "seats", low=1, high=1_000_000),
    ] = 10
    unpaid_seats_per_staff: Annotated[
        int, _about("the same for one staff member", "seats", low=1, high=1_000_000)
    ] = 200

    commit_lanes: Annotated[
        int,
        _about(
            "batches in flight to Postgres at a time; more than 1 only if commits are slow",
            "lanes",
            low=1,
            high=32,
        ),
    ] = 1
    batch_limit_events: Annotated[
        int, _about("most events in one commit", "events", low=1, high=10_000)
    ] = 500
    lease_ms: Annotated[
        int,
        _about(
            "how long a confirmed epoch is trusted, and how long a takeover waits",
            "ms",
            low=50,
            high=60_000,
        ),
    ] = 500
    command_deadline_ms: Annotated[
        int, _about("how long a command may wait for its commit", "ms", low=100, high=60_000)
    ] = 5000
    mailbox_limit: Annotated[
        int,
        _about(
            "commands without an answer at one showtime before it refuses new ones",
            "commands",
            low=1,
            high=1_000_000,
        ),
    ] = 4096
    node_waiting_limit: Annotated[
        int,
        _about(
            "commands without an answer on a node before it refuses new ones",
            "commands",
            low=1,
            high=10_000_000,
        ),
    ] = 16_384
    overloaded_after_ms: Annotated[
        int,
        _about(
            "how long the oldest event may wait for its commit before new commands are refused",
            "ms",
            low=10,
            high=60_000,
        ),
    ] = 500
    snapshot_every_events: Annotated[
        int, _about("events of a showtime between two snapshots", "events", low=1, high=1_000_000)
    ] = 1000
    max_resident_showtimes: Annotated[
        int,
        _about(
            "most showtimes in memory, and most that can be watched at a time",
            "showtimes",
            low=1,
            high=1_000_000,
        ),
    ] = 20_000
    idle_passivation_seconds: Annotated[
        int, _about("idle time after which a showtime is passivated", "s", low=1, high=86_400)
    ] = 300
    journal_retention_days: Annotated[
        int, _about("how long the journal is kept after a showtime", "days", low=0, high=3650)
    ] = 90

    body_limit_bytes: Annotated[
        int, _about("largest request body", "bytes", low=1024, high=64 << 20)
    ] = 1 << 20
    request_timeout_seconds: Annotated[
        int, _about("how long a request may take to arrive", "s", low=1, high=600)
    ] = 15
    watchers_limit: Annotated[
        int, _about("most open WebSockets", "sockets", low=1, high=1_000_000)
    ] = 20_000
    watchers_per_address: Annotated[
        int,
        _about("most open WebSockets of one client address", "sockets", low=1, high=1_000_000),
    ] = 200
    watchers_per_user: Annotated[
        int, _about("most open WebSockets of one user", "sockets", low=1, high=1_000_000)
    ] = 20
    watch_coalesce_ms: Annotated[
        int, _about("how long changes are gathered into one frame", "ms", low=0, high=5000)
    ] = 50
    ws_frame_limit_bytes: Annotated[
        int, _about("largest frame a client may send", "bytes", low=256, high=1 << 20)
    ] = 16_384
    ws_commands_in_flight: Annotated[
        int,
        _about(
            "unanswered commands of one socket before the server stops reading from it",
            "commands",
            low=1,
            high=10_000,
        ),
    ] = 64
    ws_pending_limit_bytes: Annotated[
        int,
        _about(
            "bytes that may wait for a slow watcher before it is closed",
            "bytes",
            low=4096,
            high=64 << 20,
        ),
    ] = 1 << 20
    ws_heartbeat_seconds: Annotated[
        int, _about("time between pings; a peer that misses two is closed", "s", low=1, high=600)
    ] = 20

    @property
    def uploads(self) -> Path:
        """The folder of uploaded files."""
        return self.data_dir / "uploads" if self.upload_dir == Path() else self.upload_dir

    @property
    def production(self) -> bool:
        """Whether this server is for real customers."""
        return self.environment == "production"
