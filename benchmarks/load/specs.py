"""What a load process is told to do and what it reports, as JSON on its standard streams."""

from typing import Literal

import msgspec

from benchmarks.load.histogram import Histogram

Order = Literal["spread", "hot"]
"""`spread`: neighbours in time go to different showtimes. `hot`: all to one until it is full."""

AfterHold = Literal["keep", "release", "book"]


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """How long to send before measuring, how long to measure, and whose CPU to read meanwhile."""

    warmup_s: float
    seconds: float
    observe: dict[str, int] = {}


class HoldLoad(msgspec.Struct, frozen=True, kw_only=True, tag="holds"):
    """Holds of one seat each over HTTP: closed loop without a rate, open loop with one.

    With `book`, in a closed loop, each hold is booked, and only bookings count. With `look`, in an
    open loop, the seat maps of the showtimes are read instead.
    """

    host: str
    port: int
    window: Window
    connections: int
    showtimes: list[str]
    labels: list[str]
    tokens: list[str]
    order: Order
    rate_per_s: float | None = None
    book: bool = False
    look: bool = False


class Churn(msgspec.Struct, frozen=True, kw_only=True, tag="churn"):
    """Customers, each with a connection, who hold a seat and release it, in a closed loop."""

    host: str
    port: int
    window: Window
    connections: int
    showtimes: list[str]
    labels: list[str]
    """Those that are held, in every showtime; each customer has some of them for itself."""
    tokens: list[str]


class Crowd(msgspec.Struct, frozen=True, kw_only=True, tag="crowd"):
    """Holds of one seat each at a rate that the server may not reach.

    A request that finds all connections waiting for an answer is not sent, nor later.
    """

    host: str
    port: int
    window: Window
    connections: int
    showtimes: list[str]
    labels: list[str]
    tokens: list[str]
    order: Order
    rate_per_s: float


class HoldsAcross(msgspec.Struct, frozen=True, kw_only=True, tag="holds-across"):
    """Closed loops of holds to several nodes at once, measured in one window."""

    window: Window
    loads: list[HoldLoad]


class SocketLoad(msgspec.Struct, frozen=True, kw_only=True, tag="sockets"):
    """Holds of one seat each over WebSocket command channels: one socket a showtime, pipelined."""

    host: str
    port: int
    window: Window
    in_flight: int
    showtimes: list[str]
    labels: list[str]
    tokens: list[str]


class Contest(msgspec.Struct, frozen=True, kw_only=True, tag="contest"):
    """As many clients as tokens, each trying random seats of one small showtime without a pause."""

    host: str
    port: int
    window: Window
    showtime: str
    labels: list[str]
    tokens: list[str]
    after_hold: AfterHold
    seed: int


class Filling(msgspec.Struct, frozen=True, kw_only=True, tag="filling"):
    """The same past for many showtimes: `live_holds` that stay, of `requests` in all."""

    host: str
    port: int
    window: Window
    connections: int
    showtimes: list[str]
    labels: list[str]
    tokens: list[str]
    live_holds: int
    requests: int
    seats_each: int


class Revival(msgspec.Struct, frozen=True, kw_only=True, tag="revival"):
    """The end of a process, and a hold in each of its showtimes, from another one."""

    host: str
    port: int
    window: Window
    connections: int
    showtimes: list[str]
    label: str
    tokens: list[str]
    kill_pid: int


class Watching(msgspec.Struct, frozen=True, kw_only=True, tag="watching"):
    """Sockets that watch one showtime until told the commit times of its changes."""

    host: str
    port: int
    showtime: str
    sockets: int


class Steady(msgspec.Struct, frozen=True, kw_only=True, tag="steady"):
    """Clients that hold, look and release at a steady pace, and watchers, until told to stop.

    A client has a seat (a label) of its own in every showtime, so nothing may be refused.
    """

    host: str
    port: int
    showtimes: list[str]
    labels: list[str]
    tokens: list[str]
    clients: int
    rate_per_s: float
    watchers: int


class Logins(msgspec.Struct, frozen=True, kw_only=True, tag="logins"):
    """Logins in a closed loop: each connection has an account, all have one password."""

    host: str
    port: int
    window: Window
    emails: list[str]
    password: str


class Scans(msgspec.Struct, frozen=True, kw_only=True, tag="scans"):
    """Scanners, each with a connection, who show all these tickets of a showtime, and then again.

    The window lasts until the last answer.
    """

    host: str
    port: int
    window: Window
    showtime: str
    scanners: list[str]
    tickets: list[str]


class HashProbe(msgspec.Struct, frozen=True, kw_only=True, tag="hashes"):
    """A password compared over and over in some threads, and nothing else."""

    window: Window
    threads: int
    cost: int


class CommitProbe(msgspec.Struct, frozen=True, kw_only=True, tag="commits"):
    """Commits of one row, one after the other, straight to Postgres."""

    dsn: str
    window: Window


Spec = (
    HoldLoad
    | Churn
    | Crowd
    | HoldsAcross
    | SocketLoad
    | Contest
    | Filling
    | Revival
    | Watching
    | Steady
    | Logins
    | Scans
    | HashProbe
    | CommitProbe
)


class Latencies(msgspec.Struct, frozen=True, kw_only=True):
    """A histogram on its way between processes."""

    buckets: list[tuple[int, int]]
    total: int
    highest: int

    @classmethod
    def of(cls, histogram: Histogram) -> "Latencies":
        return cls(buckets=histogram.buckets(), total=histogram.total, highest=histogram.highest)

    def histogram(self) -> Histogram:
        return Histogram.restored(self.buckets, self.total, self.highest)


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What a group of processes used during a window."""

    cpu_s: float
    rss_bytes: int


class Acknowledged(msgspec.Struct, frozen=True, kw_only=True):
    """A commit as its writer saw it: when the request left when its answer came (monotonic ns)."""

    epoch: int
    seq: int
    sent_ns: int
    answered_ns: int


class Sale(msgspec.Struct, frozen=True, kw_only=True):
    """A booking that a client was told it has."""

    booking_id: str
    label: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in a window, by the load process's own account."""

    seconds: float
    outcomes: dict[str, int]
    latency: Latencies
    generator_cpu_s: float
    machine_cpu_s: float
    usage: dict[str, Usage] = {}
    dropped: int = 0
    exhausted: bool = False
    send_delay: Latencies | None = None
    acknowledged: list[Acknowledged] = []
    sales: list[Sale] = []
    violations: list[str] = []
    unsent: int = 0
    accepted: Latencies | None = None
    refused: Latencies | None = None


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """What a group of watchers saw."""

    from_answer: Latencies
    from_request: Latencies
    frames: int
    gaps: int
    resyncs: int
    closed: int
    unseen: int
    generator_cpu_s: float
    seconds: float


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """A request that had no success, as its client saw it."""

    at_ns: int
    what: str
    why: str


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """Latencies of the requests that were due in one stretch of time."""

    at_ns: int
    latency: Latencies


class Steadied(msgspec.Struct, frozen=True, kw_only=True):
    """What steady clients and watchers were told. Times are of the machine's monotonic clock."""

    requests: dict[str, int]
    failed: list[Failed]
    slots: list[Slot]
    close_codes: dict[str, int]
    resumed: int
    snapshots: int
    frames: int
    missed: list[str]
    generator_cpu_s: float
    seconds: float
