"""The kernel's statements. Each is one statement, so that each is one atomic step.

A head that does not match the claimed epoch (and seq) gives no row, and everything else joins these
rows. So nothing is written for a fenced owner. Claims come sorted by id
and drive nested loops over the heads' primary key, so that batches of different owners lock heads
in the same order (a test watches the plan; where it failed, Postgres would report a deadlock,
which has no effect and is tried again).
"""

from __future__ import annotations

from typing import Final

# Arrays of these statements come as text (`array_text`), payloads end to end in one value.
# $1 ids (unique), $2 epochs, $3 seqs before, $4 seqs after, $5 deadlines;
# $6 position of an event's claim, $7 its seq, $8 its moment, $9 where its payload starts within
# $11, $10 the payload's length. After it come the clauses of branches (`branches.py`) and their
# parameters.
EVENT_PARAMETERS: Final = 11
APPEND_EVENTS: Final = """
with claim as (
    select * from unnest($1::text::uuid[], $2::text::bigint[], $3::text::bigint[],
        $4::text::bigint[], $5::text::bigint[])
        with ordinality as c (showtime_id, epoch, prev_seq, seq, next_due_at, position)
), heads as (
    update showtime_heads h
    set seq = c.seq, next_due_at = c.next_due_at
    from claim c
    where h.showtime_id = c.showtime_id and h.epoch = c.epoch and h.seq = c.prev_seq
    returning h.showtime_id, h.epoch, c.position
), journal as (
    insert into showtime_journal (showtime_id, seq, epoch, recorded_at, payload)
    select heads.showtime_id, e.seq, heads.epoch, e.recorded_at,
        substring($11::bytea from e.start for e.length)
    from unnest($6::text::int[], $7::text::bigint[], $8::text::bigint[], $9::text::int[],
        $10::text::int[]) as e (position, seq, recorded_at, start, length)
    join heads on heads.position = e.position
)"""

# One row, or none: a row for each showtime would cost the driver more than the batch's arguments.
MATCHED: Final = """
select array_agg(position) from heads having count(*) > 0"""

APPEND: Final = APPEND_EVENTS + MATCHED

# The same where each showtime has one event, the usual batch: $1 ids, $2 epochs, $3 seqs before,
# $4 deadlines, $5 moments, $6 where its payload starts within $8, $7 the payload's length.
APPEND_ONE_EACH: Final = """
with heads as (
    update showtime_heads h
    set seq = c.prev_seq + 1, next_due_at = c.next_due_at
    from unnest($1::text::uuid[], $2::text::bigint[], $3::text::bigint[], $4::text::bigint[],
        $5::text::bigint[], $6::text::int[], $7::text::int[])
        with ordinality
        as c (showtime_id, epoch, prev_seq, next_due_at, recorded_at, start, length, position)
    where h.showtime_id = c.showtime_id and h.epoch = c.epoch and h.seq = c.prev_seq
    returning h.showtime_id, h.seq, h.epoch, c.recorded_at, c.start, c.length, c.position
), journal as (
    insert into showtime_journal (showtime_id, seq, epoch, recorded_at, payload)
    select showtime_id, seq, epoch, recorded_at, substring($8::bytea from start for length)
    from heads
)
select array_agg(position) from heads having count(*) > 0"""

# The same for a batch of one showtime, at half the cost: $1 id, $2 epoch, $3 seq before, $4 seq
# after, $5 deadline; $6 moments, $7 starts and $8 lengths within $9.
APPEND_TO_ONE: Final = """
with head as (
    update showtime_heads set seq = $4, next_due_at = $5
    where showtime_id = $1 and epoch = $2 and seq = $3
    returning showtime_id
), journal as (
    insert into showtime_journal (showtime_id, seq, epoch, recorded_at, payload)
    select head.showtime_id, $3 + e.nth, $2, e.recorded_at,
        substring($9::bytea from e.start for e.length)
    from head, unnest($6::text::bigint[], $7::text::int[], $8::text::int[]) with ordinality
        as e (recorded_at, start, length, nth)
)
select array_agg(1) from head having count(*) > 0"""

CONFIRM: Final = """
select h.showtime_id
from unnest($1::uuid[], $2::bigint[]) as c (showtime_id, epoch)
join showtime_heads h on h.showtime_id = c.showtime_id and h.epoch = c.epoch"""

# What follows the claims and heads of a statement that saves. Rows of the archive: $1 position of
# the claim, $2 key, $3 kind, $4 seq, $5 epoch, $6 layout version, $7 moment, $8 payload.
_SAVED: Final = """), snapshots as (
    insert into showtime_snapshots as s (showtime_id, epoch, seq, payload)
    select showtime_id, epoch, seq, payload from heads where payload is not null
    on conflict (showtime_id) do update
    set epoch = excluded.epoch, seq = excluded.seq, payload = excluded.payload
    where s.seq <= excluded.seq
), archive as (
    insert into showtime_archive (showtime_id, key, kind, seq, epoch, layout_version, recorded_at,
        payload)
    select heads.showtime_id, a.key, a.kind, a.seq, a.epoch, a.layout_version, a.recorded_at,
        a.payload
    from unnest($1::int[], $2::bytea[], $3::smallint[], $4::bigint[], $5::bigint[], $6::int[],
        $7::bigint[], $8::bytea[])
        as a (position, key, kind, seq, epoch, layout_version, recorded_at, payload)
    join heads on heads.position = a.position
    on conflict (showtime_id, key) do update
    -- A hold can end twice: a payment that came late made it a booking after all.
    set seq = excluded.seq, epoch = excluded.epoch, layout_version = excluded.layout_version,
        recorded_at = excluded.recorded_at, payload = excluded.payload
    where excluded.kind = 1 and showtime_archive.kind = 1 and showtime_archive.seq < excluded.seq
)
select showtime_id from heads"""

# $9 ids, $10 epochs, $11 seqs, $12 payloads or null, $13 deadlines, $14 release.
_CLAIMED_BY_UPDATE: Final = """
with claim as (
    select * from unnest($9::uuid[], $10::bigint[], $11::bigint[], $12::bytea[], $13::bigint[],
        $14::boolean[]) with ordinality
        as c (showtime_id, epoch, seq, payload, next_due_at, release, position)
), heads as (
    update showtime_heads h
    set next_due_at = case when h.seq = c.seq then c.next_due_at else h.next_due_at end,
        released = c.release
    from claim c
    where h.showtime_id = c.showtime_id and h.epoch = c.epoch
        and (c.seq = h.seq or (c.seq < h.seq and not c.release))
    returning h.showtime_id, h.epoch, c.seq, c.payload, c.position
"""

SAVE_SNAPSHOTS: Final = _CLAIMED_BY_UPDATE + _SAVED

# $9 to $12 as above. The head is locked against takeovers alone: appends go on meanwhile.
_CLAIMED_BY_LOCK: Final = """
with claim as (
    select * from unnest($9::uuid[], $10::bigint[], $11::bigint[], $12::bytea[]) with ordinality
        as c (showtime_id, epoch, seq, payload, position)
), heads as (
    select h.showtime_id, h.epoch, c.seq, c.payload, c.position
    from claim c join showtime_heads h
        on h.showtime_id = c.showtime_id and h.epoch = c.epoch and h.seq >= c.seq
    for key share of h
"""

KEEP_SNAPSHOTS: Final = _CLAIMED_BY_LOCK + _SAVED

# $1 showtime, $2 the new owner or null, $3 owners that are to be asked first. From here on there
# may be events that no snapshot replaces: `kept_journals` says so before the first of them.
TAKE_OVER: Final = """
with before as (
    select epoch, released, owner from showtime_heads where showtime_id = $1 for update
), bumped as (
    update showtime_heads h
    set epoch = h.epoch + 1, released = false, owner = $2
    from before
    where h.showtime_id = $1
        and (before.released or before.owner is null or before.owner <> all($3::uuid[]))
    returning h.epoch
), kept as (
    insert into kept_journals (showtime_id, ends_at)
    select $1, coalesce((select ends_at from showtimes where id = $1), now())
    from bumped cross join before where before.released
    on conflict do nothing
)
select bumped.epoch, before.released, before.owner from before left join bumped on true"""

# $1 showtimes. Those whose heads an append could lock right now.
UNLOCKED: Final = """
select showtime_id from showtime_heads where showtime_id = any($1::uuid[])
for no key update skip locked"""

# $1 living nodes, $2 where the last page of heads ended, $3 how many heads one has. Rare enough to
# read all of them: an index would cost every append. One row; what was left, the last head, and
# how many there were.
LEFT_BEHIND: Final = """
with page as (
    select showtime_id, owner, released from showtime_heads
    where showtime_id > $2 order by showtime_id limit $3
)
select
    coalesce(
        array_agg(showtime_id order by showtime_id)
            filter (where owner <> all($1::uuid[]) and not released),
        '{}'
    ),
    (select showtime_id from page order by showtime_id desc limit 1),
    count(*)
from page"""

# $1 showtimes, $2 living nodes, $3 the new owner. Of a head that is locked somebody takes care now,
# or a frozen node holds it for a while: neither keeps the others waiting, and it is taken over
# when it is asked for.
INHERIT: Final = """
with heir as (
    select showtime_id from showtime_heads
    where showtime_id = any($1::uuid[]) and owner <> all($2::uuid[]) and not released
    order by showtime_id for update skip locked
)
update showtime_heads h
set epoch = h.epoch + 1, owner = $3
from heir
where h.showtime_id = heir.showtime_id
returning h.showtime_id, h.epoch"""

# The journal is asked by the parameter: then all its months but one are ruled out at once.
LOAD: Final = """
select h.epoch, h.seq, s.payload, coalesce(s.seq, 0), tail.seqs, tail.epochs, tail.moments,
    tail.payloads
from showtime_heads h
left join showtime_snapshots s using (showtime_id)
cross join lateral (
    select array_agg(j.seq order by j.seq), array_agg(j.epoch order by j.seq),
        array_agg(j.recorded_at order by j.seq), array_agg(j.payload order by j.seq)
    from showtime_journal j
    where j.showtime_id = $1 and j.seq > coalesce(s.seq, 0)
) as tail (seqs, epochs, moments, payloads)
where h.showtime_id = $1"""

RECALL: Final = """
select key, kind, seq, epoch, layout_version, recorded_at, payload
from showtime_archive where showtime_id = $1 and key = $2"""

# $2 and $3 are where the last page ended, always given: an `or` would make each page read all
# those before it.
DUE: Final = """
select next_due_at, showtime_id from showtime_heads
where next_due_at <= $1 and (next_due_at, showtime_id) > ($2::bigint, $3::uuid)
order by next_due_at, showtime_id limit $4"""

HISTORY: Final = """
select seq, epoch, recorded_at, payload from showtime_journal
where showtime_id = $1 and seq > $2 order by seq limit $3"""

# Nodes that sweep at the same time take different rows.
SWEEP_ARCHIVE: Final = """
with gone as (
    delete from showtime_archive
    where ctid = any(array(
        select ctid from showtime_archive
        where kind = $1 and recorded_at < $2 order by recorded_at limit $3
        for update skip locked
    ))
    returning 1
)
select count(*) from gone"""

# $1 showtime, $2 most events. One of a showtime's many steps; the head row is locked in each, and
# compared: no row comes out of `head` if it says something else.
_TRUNCATE: Final = """
    for share of h
), first as (
    select seq from showtime_journal where showtime_id = $1 order by seq limit 1
), gone as (
    delete from showtime_journal j
    using head, first
    where j.showtime_id = $1 and j.seq <= head.seq and j.seq < first.seq + $2::bigint
    returning 1
)
select count(*), (select count(*) from gone) from head"""

_SNAPSHOT_OF_HEAD: Final = """
with head as (
    select s.seq from showtime_heads h
    join showtime_snapshots s on s.showtime_id = h.showtime_id
    where h.showtime_id = $1 and """

# What a snapshot replaces, for its owner: $3 epoch.
TRUNCATE: Final = _SNAPSHOT_OF_HEAD + "h.epoch = $3" + _TRUNCATE

# The same if nobody owns the showtime and its snapshot is complete.
DRAIN: Final = _SNAPSHOT_OF_HEAD + "h.released and s.seq = h.seq" + _TRUNCATE

# $1 before when, $2 and $3 where the last page ended, $4 how many.
ENDED: Final = """
select ends_at, showtime_id from kept_journals
where ends_at < $1 and (ends_at, showtime_id) > ($2::timestamptz, $3::uuid)
order by ends_at, showtime_id limit $4"""

# The showtimes in $1 that ended before $2 no longer need their events if nobody owns them and their
# snapshot is complete. A takeover also locks the head first, and inserts the row again. A showtime
# that was moved to a later time is noted with its new end.
SEAL: Final = """
with head as (
    select h.showtime_id, t.ends_at from showtime_heads h
    left join showtime_snapshots s on s.showtime_id = h.showtime_id
    left join showtimes t on t.id = h.showtime_id
    where h.showtime_id = any($1::uuid[]) and h.released and (h.seq = 0 or s.seq = h.seq)
    order by h.showtime_id
    for no key update of h skip locked
), put_off as (
    update kept_journals k set ends_at = head.ends_at from head
    where k.showtime_id = head.showtime_id and head.ends_at >= $2
    returning k.showtime_id
), sealed as (
    delete from kept_journals k using head
    where k.showtime_id = head.showtime_id and coalesce(head.ends_at < $2, true)
    returning k.showtime_id
)
select showtime_id from sealed union all select showtime_id from put_off"""
