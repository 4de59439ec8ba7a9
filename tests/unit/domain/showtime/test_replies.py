"""A success under a client's key answers its repetition; a refusal is decided anew."""

from __future__ import annotations

import msgspec
import pytest

from cinema.domain.showtime.commands import AnyCommand
from cinema.domain.showtime.decisions import (
    Archived,
    Recall,
    Recalled,
    Replay,
    decide,
    ended_hold,
    with_answer,
)
from cinema.domain.showtime.events import Recorded, SeatsHeld, decode_recorded, encode_recorded
from cinema.domain.showtime.packed import pack
from cinema.domain.showtime.records import ReplyRecord
from cinema.domain.showtime.state import ENDED_EXPIRED, ShowtimeState
from tests.unit.domain.showtime.story import (
    EPOCH,
    START_US,
    Story,
    block,
    book,
    cancel,
    change_plan,
    extend,
    fingerprint_of,
    given,
    hold,
    hold_best,
    id_of,
    release,
    second,
    terms,
    unblock,
)

ANN = id_of("ann")
HELD = SeatsHeld(id_of("hold"), ANN, (0,), (1000,), second(600))


@pytest.mark.parametrize(
    ("before", "command", "again"),
    [
        ([], hold("A1", key="k"), hold("A1", "another id", key="k")),
        ([], hold_best(2, key="k"), hold_best(2, "another id", key="k")),
        ([hold("A1")], extend(key="k"), extend(key="k")),
        ([hold("A1")], release(key="k"), release(key="k")),
        ([hold("A1 A2")], release("A2", key="k"), release("A2", key="k")),
        ([hold("A1")], book(key="k"), book(booking_id="another id", key="k")),
        ([hold("A1"), book()], cancel(key="k"), cancel(key="k")),
        ([], block("A1", key="k"), block("A1", key="k")),
        ([block("A1")], unblock("A1", key="k"), unblock("A1", key="k")),
    ],
)
def test_a_repeated_key_gives_what_was_done_then_and_does_nothing(
    before: list[AnyCommand], command: AnyCommand, again: AnyCommand
) -> None:
    story = given(*before).when(command, 5)
    (event,) = story.happened
    seq, drawn = story.state.seq, story.drawn()
    story.when(again, 400)
    assert isinstance(story.decision, Replay)
    assert story.decision.recorded == Recorded(id_of("k"), command.fingerprint, event)
    assert story.decision.record[:3] == (seq, EPOCH, second(5))
    assert decode_recorded(story.decision.record.payload) == story.decision.recorded
    assert (story.state.seq, story.drawn()) == (seq, drawn)


def test_a_replay_comes_before_every_refusal() -> None:
    story = given(hold("A1", key="k"), release(), hold("A1", "other", by="bob"))
    assert isinstance(story.when(hold("A1", "new", key="k"), 9000).decision, Replay)


def test_a_key_with_another_request_is_refused() -> None:
    story = given(hold("A1", key="k"))
    story.when(hold("A2", "other", key="k")).then_refused("IDEMPOTENCY_MISMATCH")
    assert story.drawn() == "h... ...."


def test_a_refusal_is_not_remembered() -> None:
    story = given(hold("A1")).when(hold("A1", "second", key="k"))
    story.then_refused("SEAT_UNAVAILABLE", seats=["A1"])
    story.when(release()).when(hold("A1", "second", key="k"))
    assert isinstance(story.decision, SeatsHeld)


def test_without_a_clients_key_nothing_is_remembered() -> None:
    story = given(hold("A1"))
    assert len(story.state.records) == 0
    story.when(hold("A1")).then_refused("SEAT_UNAVAILABLE", seats=["A1"])


def test_the_id_of_a_command_without_a_key_is_not_looked_up() -> None:
    story = given(hold("A1", key="k"))
    story.when(msgspec.structs.replace(hold("A2", "second"), command_id=id_of("k")))
    assert isinstance(story.decision, SeatsHeld)


def test_keys_that_start_alike_are_told_apart() -> None:
    story = given(hold("A1", key="k"))
    alike = id_of("k")[:8] + bytes(8)
    story.when(msgspec.structs.replace(hold("A2", "second", key="k"), command_id=alike))
    assert isinstance(story.decision, SeatsHeld)
    again = msgspec.structs.replace(hold("A2", "third", key="k"), command_id=alike)
    assert isinstance(story.when(again).decision, Replay)


def test_a_stored_reply_reads_as_todays_plan_has_it() -> None:
    story = given(hold("A2 B1", key="k"), release(), its_terms=terms("rr", "rr"))
    story.when(change_plan("r", "rr")).when(hold("A2 B1", key="k"), 1)
    assert isinstance(story.decision, Replay)
    event = msgspec.structs.replace(HELD, seats=(1,), prices=(1000,))
    assert story.decision.recorded.event == event
    assert decode_recorded(story.decision.record.payload).event == event
    assert story.decision.record[:3] == (1, EPOCH, START_US)


# --- what only the archive knows


def _archived(*names: str) -> Story:
    story = given()
    for name in names:
        story.state.archive_filter.add(id_of(name))
    return story


def _reply(key: str, body: str) -> Archived:
    command_id, fingerprint = id_of(key), fingerprint_of(body)
    payload = encode_recorded(command_id, fingerprint, HELD)
    recorded = Recorded(command_id, fingerprint, HELD)
    return Archived(reply=(ReplyRecord(1, EPOCH, START_US, payload), recorded))


def test_a_key_that_may_be_archived_is_looked_up_first() -> None:
    story = _archived("k")
    command = hold("A1", key="k")
    assert decide(story.state, story.terms, command, START_US) == Recall(id_of("k"))
    assert isinstance(story.when(command).decision, SeatsHeld)  # The archive did not have it.


def test_a_reply_from_the_archive_answers() -> None:
    story = _archived("k")
    story.archive[id_of("k")] = _reply("k", "A1")
    story.when(hold("A1", key="k"))
    assert isinstance(story.decision, Replay)
    assert story.decision.recorded.event == HELD
    story.when(hold("A2", key="k")).then_refused("IDEMPOTENCY_MISMATCH")


def test_an_answer_to_another_question_or_from_before_a_move_is_not_taken() -> None:
    story = _archived("k")
    command = hold("A1", key="k")
    epoch, generation = story.state.epoch, story.state.archive_generation
    not_there = {id_of("k"): Archived()}
    for stale in (
        Recalled(epoch, generation, {id_of("other"): Archived()}),
        Recalled(epoch, generation + 1, not_there),
        Recalled(epoch + 1, generation, not_there),
    ):
        asked = decide(story.state, story.terms, command, START_US, stale)
        assert asked == Recall(id_of("k"))


def test_answers_of_one_memory_gather_and_those_of_another_are_left_out() -> None:
    first = with_answer(None, 3, 1, b"one", Archived())
    both = with_answer(first, 3, 1, b"two", Archived())
    assert both == Recalled(3, 1, {b"one": Archived(), b"two": Archived()})
    for epoch, generation in ((4, 1), (3, 2)):
        moved_on = with_answer(both, epoch, generation, b"new", Archived())
        assert moved_on == Recalled(epoch, generation, {b"new": Archived()})


def test_a_command_whose_key_and_hold_both_need_the_archive_is_answered() -> None:
    story = _archived("k", "hold")
    story.when(release(key="k")).then_refused("NOT_FOUND")
    ended = bytes((ENDED_EXPIRED,)) + pack(ANN, START_US, second(600), (0,), (1000,))
    story.archive[id_of("hold")] = Archived(ended=ended)
    story.when(release(key="k")).then_refused("HOLD_ENDED", status="expired")


def test_what_memory_knows_needs_no_archive() -> None:
    story = given(hold("A1", key="k"), hold("A2", "ended"), release(None, "ended"))
    for key in ("k", "ended"):
        story.state.archive_filter.add(id_of(key))
    decisions = [
        decide(story.state, story.terms, command, START_US)
        for command in (hold("A1", key="k"), extend("ended"))
    ]
    assert not any(isinstance(decision, Recall) for decision in decisions)


def test_an_ended_hold_in_the_archive_says_how_it_ended_to_its_customer_only() -> None:
    story = _archived("hold")
    packed = pack(ANN, START_US, second(600), (0,), (1000,))
    ended = bytes((ENDED_EXPIRED,)) + packed
    assert decide(story.state, story.terms, extend(), START_US) == Recall(id_of("hold"))
    story.when(extend()).then_refused("NOT_FOUND")
    story.archive[id_of("hold")] = Archived(ended=ended)
    story.when(extend()).then_refused("HOLD_ENDED", status="expired")
    story.when(extend(by="bob")).then_refused("NOT_FOUND")


def test_a_hold_is_never_looked_up_where_nothing_was_archived() -> None:
    assert ended_hold(ShowtimeState(4, 1), id_of("never"), None) is None
