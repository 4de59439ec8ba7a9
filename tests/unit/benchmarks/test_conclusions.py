"""What the load generators conclude from what they saw."""

import itertools
from uuid import RFC_4122

import msgspec

from benchmarks.baselines.rowlock import new_hold_id
from benchmarks.load.contest import Contestant, Ledger
from benchmarks.load.filling import commands
from benchmarks.load.holds import seat_order
from benchmarks.load.resuming import Viewer
from benchmarks.load.specs import Acknowledged, AfterHold, Contest, Filling, Window
from benchmarks.load.watching import Gallery
from benchmarks.results import Figures, Measurement, Target

WINDOW = Window(warmup_s=0, seconds=1)


def test_two_clients_with_one_seat_are_a_violation() -> None:
    ledger = Ledger()
    ledger.held("A1", 1)
    ledger.held("A1", 2)
    assert ledger.violations == ["A1: held by client 2 while 1 had it"]


def test_a_seat_given_back_may_be_had_by_the_next() -> None:
    ledger = Ledger()
    ledger.held("A1", 1)
    ledger.giving_back("A1")
    ledger.held("A1", 2)
    assert ledger.violations == []


def test_a_seat_sold_twice_is_a_violation() -> None:
    ledger = Ledger()
    ledger.sold("A1", "first")
    ledger.sold("A1", "second")
    assert ledger.violations == ["A1: sold twice, the second time as second"]


def contestant(after_hold: AfterHold, ledger: Ledger) -> Contestant:
    contest = Contest(
        host="h",
        port=1,
        window=WINDOW,
        showtime="s",
        labels=["A1"],
        tokens=["t"],
        after_hold=after_hold,
        seed=1,
    )
    return Contestant(0, contest, ledger)


def test_a_winner_books_and_the_sale_is_noted() -> None:
    ledger = Ledger()
    client = contestant("book", ledger)
    assert client.try_seat().startswith(b"POST /api/v1/showtimes/s/holds ")
    assert client.after(409, b"").startswith(b"POST /api/v1/showtimes/s/holds ")
    booking = client.after(201, b'{"data":{"hold_id":"h1"}}')
    assert booking.startswith(b"POST /api/v1/bookings ")
    assert booking.endswith(b'{"showtime_id":"s","hold_id":"h1","payment":{"method":"demo"}}')
    client.after(201, b'{"data":{"id":"b1"}}')
    assert [(sale.booking_id, sale.label) for sale in ledger.sales] == [("b1", "A1")]


def test_a_winner_releases_before_it_tries_again() -> None:
    client = contestant("release", Ledger())
    client.try_seat()
    release = client.after(201, b'{"data":{"hold_id":"h1"}}')
    assert release.startswith(b"DELETE /api/v1/showtimes/s/holds/h1 ")
    assert client.after(200, b"{}").startswith(b"POST /api/v1/showtimes/s/holds ")


def test_a_refused_release_is_a_violation() -> None:
    ledger = Ledger()
    client = contestant("release", ledger)
    client.try_seat()
    client.after(201, b'{"data":{"hold_id":"h1"}}')
    client.after(409, b"gone")
    assert ledger.violations == ["A1: a release answered 409: b'gone'"]


def test_filling_leaves_the_live_holds_and_sends_every_request_with_its_own_key() -> None:
    filling = Filling(
        host="h",
        port=1,
        window=WINDOW,
        connections=1,
        showtimes=["s"],
        labels=[f"A{number}" for number in range(1, 9)],
        tokens=["t"],
        live_holds=2,
        requests=6,
        seats_each=2,
    )
    past = commands(filling, "s")
    sent = [next(past)]
    sent.extend(past.send(b'{"data":{"hold_id":"h%d"}}' % number) for number in range(1, 6))
    keys = [request.split(b"Idempotency-Key: ")[1].split(b"\r\n")[0] for request in sent]
    assert len(set(keys)) == 6
    assert [request.split(b" ")[0] for request in sent] == [b"POST"] * 3 + [
        b"DELETE",
        b"POST",
        b"DELETE",
    ]
    seats = [
        tuple(msgspec.json.decode(request.split(b"\r\n\r\n")[1])["seats"])
        for request in sent
        if request.startswith(b"POST")
    ]
    assert seats == [("A1", "A2"), ("A3", "A4"), ("A5", "A6"), ("A5", "A6")]
    assert b"/holds/h3 " in sent[3]


def test_a_spread_order_moves_on_to_the_next_showtime_and_a_hot_one_stays() -> None:
    spread = [showtime for showtime, _ in seat_order(["x", "y"], ["A1", "A2"], "spread")]
    hot = [showtime for showtime, _ in seat_order(["x", "y"], ["A1", "A2"], "hot")]
    assert spread == [b"x", b"y", b"x", b"y"]
    assert hot == [b"x", b"x", b"y", b"y"]


def test_each_seat_is_asked_for_once() -> None:
    for order in ("spread", "hot"):
        asked = list(seat_order(["x", "y"], ["A1", "A2"], order))
        assert len(set(asked)) == len(asked) == 4


def delta(prev_seq: int, seq: int) -> bytes:
    return msgspec.json.encode({"type": "delta", "epoch": 1, "prev_seq": prev_seq, "seq": seq})


def commit(seq: int, sent_ns: int, answered_ns: int) -> Acknowledged:
    return Acknowledged(epoch=1, seq=seq, sent_ns=sent_ns, answered_ns=answered_ns)


def test_a_coalesced_delta_counts_for_every_change_in_it() -> None:
    gallery = Gallery()
    gallery.arrived(delta(0, 2), 1000)
    gallery.arrived(delta(0, 2), 1100)
    commits = [commit(1, 100, 200), commit(2, 500, 600)]
    watched = gallery.summary(commits, watchers=2, seconds=1, cpu_s=0)
    assert watched.unseen == 0
    assert watched.from_request.histogram().count == 4
    assert watched.from_request.highest == 1000
    assert watched.from_answer.highest == 900


def test_a_change_that_a_watcher_never_saw_is_missed() -> None:
    gallery = Gallery()
    gallery.arrived(delta(0, 1), 1000)
    watched = gallery.summary([commit(1, 0, 0), commit(2, 0, 0)], watchers=1, seconds=1, cpu_s=0)
    assert watched.unseen == 1


def test_a_busy_generator_or_machine_makes_a_figure_doubtful() -> None:
    figures = Figures()
    figures.add("x", "holds", "/s", Measurement(value=1, generator_share=0.9))
    figures.add("x", "holds", "/s", Measurement(value=3, elsewhere_cores=0.5))
    figures.add("x", "holds", "/s", Measurement(value=2))
    assert figures.of("x", "holds").median == 2
    assert [problem.split(": ")[0] for problem in figures.problems] == [
        "x holds, run 1",
        "x holds, run 2",
    ]


def test_a_target_is_a_floor_or_a_ceiling() -> None:
    def reached(measured: float, at_least: bool) -> bool:
        return Target(text="", unit="", wanted=2, measured=measured, at_least=at_least).reached

    assert [reached(value, True) for value in (1, 2, 3)] == [False, True, True]
    assert [reached(value, False) for value in (1, 2, 3)] == [True, True, False]


def test_the_baselines_hold_ids_are_of_version_7_and_grow() -> None:
    made = [new_hold_id() for _ in range(50)]
    assert {identity.version for identity in made} == {7}
    assert {identity.variant for identity in made} == {RFC_4122}
    moments = [identity.int >> 80 for identity in made]
    assert all(earlier <= later for earlier, later in itertools.pairwise(moments))


def shown(*frames: bytes) -> Viewer:
    viewer = Viewer("s")
    for frame in frames:
        viewer.show(frame)
    return viewer


SNAPSHOT = b'{"type":"snapshot","epoch":1,"seq":5,"layout_version":1,"taken":{"A1":"held"}}'


def freeing(prev_seq: int, seq: int, epoch: int = 1) -> bytes:
    return b'{"type":"delta","epoch":%d,"prev_seq":%d,"seq":%d,"changes":{"A1":"available"}}' % (
        epoch,
        prev_seq,
        seq,
    )


def test_a_viewer_who_is_shown_everything_misses_nothing() -> None:
    viewer = shown(SNAPSHOT, freeing(5, 6), freeing(6, 8, epoch=2))
    assert (viewer.gaps, viewer.taken, viewer.since) == ([], {}, "?since=2:8")


def test_a_viewer_notices_a_gap_an_older_epoch_and_a_step_back() -> None:
    assert shown(SNAPSHOT, freeing(6, 7)).gaps == ["1:6 after 1:5"]
    assert shown(SNAPSHOT, freeing(5, 6, epoch=0)).gaps == ["0:5 after 1:5"]
    assert shown(SNAPSHOT, freeing(5, 6), SNAPSHOT).gaps == ["a snapshot of 5 after 6"]


def test_a_viewer_leaves_out_what_comes_between_a_resync_and_its_snapshot() -> None:
    viewer = shown(SNAPSHOT, b'{"type":"resync"}', freeing(9, 10), SNAPSHOT, freeing(5, 6))
    assert (viewer.gaps, viewer.seq) == ([], 6)
