"""Webhooks in Postgres: who is sent what, and what became of it.

Events are handed out to endpoints in the order of their positions, from a mark that one transaction
at a time moves. Of what waits for an endpoint, the first of each booking can be claimed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.rejections import refuse
from cinema.features.accounts.audit_store import AuditEntry, note
from cinema.features.accounts.user_store import Act
from cinema.features.events.shapes import PublicEvent
from cinema.features.events.store import EVENT_COLUMNS, shown_event
from cinema.features.webhooks.rules import BOTH_SIGN, DISABLED_AFTER, REST_LIMIT_S
from cinema.features.webhooks.shapes import Delivery, Webhook
from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import (
    Pool,
    PooledConnection,
    changing,
    connection,
    run_once,
    transaction,
)
from cinema.storage.encryption import CannotOpen, Cipher
from cinema.storage.resealing import SealedColumn

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

WEBHOOKS_LIMIT: Final = 50
"""Each event is looked at for each of them."""

IN_FLIGHT: Final = 4
"""Deliveries to one endpoint at the same time, so that a slow one leaves room for others."""

WOKEN_FROM: Final = 3
"""After so many failures in a row a success means that the receiver was away and is back: what
waits is due at once."""

KEPT: Final = timedelta(days=30)
"""How long the outcome of a delivery is kept."""

_COUNT: Final = "select count(*) from webhook_endpoints"
_ADD: Final = """
insert into webhook_endpoints (id, url, description, types, cinema_id, secret, created_at)
values ($1, $2, $3, $4, $5, $6, $7)"""
_SHOWN: Final = """id, url, description, types, cinema_id, disabled_at, disabled_reason,
    failing_since, last_error, last_delivered_at, previous_until, created_at"""
_BY_ID: Final = f"select {_SHOWN} from webhook_endpoints where id = $1"
_LIST: Final = f"select {_SHOWN} from webhook_endpoints order by id limit $1"
_SECRETS: Final = "select secret, previous_secret, previous_until from webhook_endpoints"
_SECRETS_OF: Final = f"{_SECRETS} where id = $1"
_SECRETS_LOCKED: Final = f"{_SECRETS} where id = $1 for update"
_CHANGE: Final = f"""
update webhook_endpoints
set url = coalesce($2, url), types = coalesce($3, types),
    description = coalesce($4, description), cinema_id = case when $5 then $6 else cinema_id end
where id = $1
returning {_SHOWN}"""
_ENABLE: Final = f"""
update webhook_endpoints
set disabled_at = null, disabled_reason = null, failures = 0, failing_since = null,
    resume_at = null
where id = $1
returning {_SHOWN}"""
_DUE_NOW: Final = """
update webhook_deliveries set first_due_at = $2, next_try_at = $2
where endpoint_id = $1 and status = 'waiting' and claimed_until is null"""
_DISABLE: Final = f"""
update webhook_endpoints set disabled_at = coalesce(disabled_at, $2),
    disabled_reason = coalesce(disabled_reason, $3)
where id = $1
returning {_SHOWN}"""
_DELETE: Final = "delete from webhook_endpoints where id = $1 returning true"
_ROTATE: Final = """
update webhook_endpoints set secret = $2, previous_secret = $3, previous_until = $4
where id = $1"""

# Locked rows are skipped: another node hands out just now. What that has not seen is for later. An
# endpoint that is deleted meanwhile gets nothing.
_HAND_OUT: Final = """
with mark as (
    select position from webhook_mark for update skip locked
), fresh as (
    select e.position, e.subject, e.type, e.cinema_id from public_events e
    where e.position > (select position from mark) order by e.position limit $2
), made as (
    insert into webhook_deliveries (endpoint_id, position, subject, first_due_at, next_try_at)
    select w.id, f.position, f.subject, $1, $1
    from fresh f join webhook_endpoints w
        on (w.types = '{}' or f.type = any(w.types))
        and (w.cinema_id is null or w.cinema_id = f.cinema_id)
    for key share of w
    on conflict (endpoint_id, position) do nothing
), moved as (
    update webhook_mark set position = (select max(position) from fresh)
    where exists (select from fresh)
)
select count(*) from fresh"""
# The last event is looked up in the index. With `exists` all would be read, each time that there is
# none: Postgres guesses that a third of them are behind a mark.
FRESH: Final = """coalesce(
    (select max(position) from public_events) > (select position from webhook_mark), false
)"""
"""Whether something has happened that was not handed out."""

WAITING: Final = """exists (
    select from webhook_deliveries where status = 'waiting' and next_try_at <= {0}::timestamptz
)"""
"""Whether something is due for any receiver, though perhaps not its turn."""

# One that is not the first of its subject waits for that. A receiver that fails gets one at a time.
_CLAIM: Final = f"""
update webhook_deliveries d
set attempts = d.attempts + 1, next_try_at = $2, claimed_until = $2
from (
    select due.id from webhook_endpoints w
    cross join lateral (
        select one.id, one.next_try_at from webhook_deliveries one
        where one.endpoint_id = w.id and one.status = 'waiting' and one.next_try_at <= $1
            and not exists (
                select from webhook_deliveries earlier
                where earlier.endpoint_id = w.id and earlier.subject = one.subject
                    and earlier.status = 'waiting' and earlier.position < one.position
            )
        order by one.position
        limit greatest(0, case when w.failures > 0 then 1 else {IN_FLIGHT} end - (
            select count(*) from webhook_deliveries busy
            where busy.endpoint_id = w.id and busy.claimed_until > $1
        ))
        for update skip locked
    ) due
    where w.disabled_at is null and (w.resume_at is null or w.resume_at <= $1)
    order by due.next_try_at limit $3
) taken, webhook_endpoints w, public_events e
where d.id = taken.id and w.id = d.endpoint_id and e.position = d.position
returning d.id as delivery_id, d.endpoint_id, d.attempts, d.first_due_at, w.url, w.secret,
    w.previous_secret, w.previous_until, {EVENT_COLUMNS}"""
# An attempt whose claim has ended notes nothing: another is under way, or done.
_MINE: Final = "id = $1 and attempts = $2 and status = 'waiting'"
_DELIVERED: Final = f"""
with done as (
    update webhook_deliveries
    set status = 'delivered', ended_at = $3, claimed_until = null, last_status = $4,
        last_error = null
    where {_MINE}
    returning endpoint_id
), woken as (
    update webhook_deliveries set next_try_at = $3
    where id = any(array(
        select one.id from webhook_deliveries one
        join done on done.endpoint_id = one.endpoint_id
        join webhook_endpoints w on w.id = one.endpoint_id
        where w.failures >= {WOKEN_FROM} and one.status = 'waiting'
            and one.claimed_until is null and one.next_try_at > $3
        order by one.id for update of one skip locked
    ))
)
update webhook_endpoints w
set failures = 0, failing_since = null, resume_at = null, last_delivered_at = $3
from done
where w.id = done.endpoint_id and (
    w.failures > 0 or w.last_delivered_at is null
    or w.last_delivered_at < $3::timestamptz - interval '10 s'
)"""
_FAILED: Final = f"""
with failed as (
    update webhook_deliveries
    set status = case when $7 then 'failed' else 'waiting' end,
        ended_at = case when $7 then $3::timestamptz end,
        next_try_at = $4, claimed_until = null, last_status = $5, last_error = left($6, 500)
    where {_MINE}
    returning endpoint_id
)
update webhook_endpoints w
set failures = w.failures + 1, failing_since = coalesce(w.failing_since, $3),
    last_error = left($6, 500),
    resume_at = $3::timestamptz
        + least({REST_LIMIT_S}, 5 * 2 ^ least(w.failures, 20)) * interval '1 second',
    disabled_at = coalesce(w.disabled_at, case when $8 or w.failing_since <= $9 then $3 end),
    disabled_reason = coalesce(w.disabled_reason, case
        when $8 then 'The receiver wants nothing more (410).'
        when w.failing_since <= $9 then left(
            'Nothing was taken for {DISABLED_AFTER.days} days: ' || $6, 500
        )
    end)
from failed
where w.id = failed.endpoint_id
returning w.disabled_at = $3"""

_DELIVERY: Final = """
select d.id, d.position, e.id as event_id, e.type, e.booking_id, d.status, d.attempts,
    case when d.status = 'waiting' then d.next_try_at end as next_try_at, d.ended_at,
    d.last_status, d.last_error
from webhook_deliveries d join public_events e on e.position = d.position
"""
_DELIVERIES: Final = f"""{_DELIVERY}
where d.endpoint_id = $1 and ($2::text is null or d.status = $2)
    and ($3::bigint is null or d.position < $3)
order by d.position desc limit $4"""
_DELIVERY_OF: Final = f"{_DELIVERY} where d.endpoint_id = $1 and d.id = $2"
_RETRY: Final = """
update webhook_deliveries
set status = 'waiting', attempts = 0, first_due_at = $3, next_try_at = $3, ended_at = null
where endpoint_id = $1 and id = $2 and status <> 'waiting'
returning true"""
# What waits already is left as it is.
_REPLAY: Final = """
with wanted as (
    select e.position, e.subject from public_events e join webhook_endpoints w on w.id = $1
    left join webhook_deliveries d on d.endpoint_id = w.id and d.position = e.position
    where e.position > $2 and e.position <= coalesce($3::bigint, e.position)
        and e.position <= (select position from webhook_mark)
        and (w.types = '{}' or e.type = any(w.types))
        and (w.cinema_id is null or w.cinema_id = e.cinema_id)
        and (not $4 or d.status = 'failed')
    order by e.position limit $5
), made as (
    insert into webhook_deliveries as d (endpoint_id, position, subject, first_due_at, next_try_at)
    select $1, position, subject, $6, $6 from wanted
    on conflict (endpoint_id, position) do update
    set status = 'waiting', attempts = 0, first_due_at = $6, next_try_at = $6, ended_at = null
    where d.status <> 'waiting'
    returning 1
)
select (select count(*) from made) as made, (select count(*) from wanted) as looked,
    (select max(position) from wanted) as last"""

_STATE: Final = """
select w.disabled_at is null as enabled, w.failures > 0 as failing,
    of_endpoint.waiting, of_endpoint.failed, of_endpoint.oldest_at
from webhook_endpoints w cross join lateral (
    select count(*) filter (where status = 'waiting') as waiting,
        count(*) filter (where status = 'failed') as failed,
        min(first_due_at) filter (where status = 'waiting') as oldest_at
    from webhook_deliveries d where d.endpoint_id = w.id and d.status in ('waiting', 'failed')
) of_endpoint"""
_FORGET: Final = """
with gone as (
    delete from webhook_deliveries where id = any(array(
        select id from webhook_deliveries where ended_at < $1 order by ended_at limit $2
        for update skip locked
    ))
    returning 1
)
select count(*) from gone"""


class ClaimedDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """An event that is to be sent now, with the number of its attempt, and the sealed secrets."""

    id: UUID
    endpoint_id: UUID
    attempts: int
    first_due_at: datetime
    url: str
    event: PublicEvent
    secret: bytes
    previous_secret: bytes | None
    previous_until: datetime | None


class EndpointState(msgspec.Struct, frozen=True):
    """How one endpoint stands; since when the oldest that waits for it is due."""

    enabled: bool
    failing: bool
    waiting: int
    failed: int
    oldest_at: datetime | None


class ReplayMade(msgspec.Struct, frozen=True):
    """How many deliveries a replay has made of how many events, and the last of these."""

    made: int
    looked: int
    last: int | None


class _MadeEndpoint(msgspec.Struct):
    """What is kept of the answer to a creation: the secret is not."""

    id: UUID


class WebhooksRepository:
    """Endpoints and deliveries."""

    def __init__(self, pool: Pool, cipher: Cipher) -> None:
        self._pool = pool
        self._cipher = cipher

    async def add(
        self,
        webhook: Webhook,
        secret: bytes,
        act: Act,
        key: IdempotencyKey | None,
    ) -> UUID:
        """A new endpoint, or that of an earlier request. Refuses WEBHOOK_LIMIT."""
        sealed = self._cipher.seal(secret, place=_place(webhook.id))

        async def effect(running: PooledConnection) -> _MadeEndpoint:
            await running.execute("select position from webhook_mark for update")
            if await running.fetchval(_COUNT) >= WEBHOOKS_LIMIT:
                raise refuse("WEBHOOK_LIMIT")
            await running.execute(
                *(_ADD, webhook.id, webhook.url, webhook.description, webhook.types),
                *(webhook.cinema_id, sealed, webhook.created_at),
            )
            after = {"url": webhook.url, "types": webhook.types}
            await note(running, _entry(act, "webhook_created", webhook.id, after), act.client)
            return _MadeEndpoint(webhook.id)

        return (await run_once(self._pool, key, act.at, _MadeEndpoint, effect)).id

    async def secret(self, webhook_id: UUID) -> bytes | None:
        """The newest secret. Refuses RETRY if no key opens it."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_SECRETS_OF, webhook_id)
        return None if row is None else self._open(row["secret"], _place(webhook_id))

    async def find(self, webhook_id: UUID) -> Webhook | None:
        """One endpoint."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_BY_ID, webhook_id)
        return None if row is None else _shown(row)

    async def all(self) -> list[Webhook]:
        """All endpoints."""
        async with connection(self._pool) as reading:
            return [_shown(row) for row in await reading.fetch(_LIST, WEBHOOKS_LIMIT)]

    async def change(
        self, webhook_id: UUID, changes: Mapping[str, Any], enabled: bool | None, act: Act
    ) -> Webhook | None:
        """Change what is named; None if there is no such endpoint."""
        async with transaction(self._pool) as running:
            row = await running.fetchrow(
                *(_CHANGE, webhook_id, changes.get("url"), changes.get("types")),
                *(changes.get("description"), "cinema_id" in changes, changes.get("cinema_id")),
            )
            if row is not None and enabled is True:
                row = await running.fetchrow(_ENABLE, webhook_id)
                await running.execute(_DUE_NOW, webhook_id, act.at)
            elif row is not None and enabled is False:
                row = await running.fetchrow(_DISABLE, webhook_id, act.at, "Switched off.")
            if row is None:
                return None
            after = {**changes, **({} if enabled is None else {"enabled": enabled})}
            await note(running, _entry(act, "webhook_changed", webhook_id, after), act.client)
        return _shown(row)

    async def delete(self, webhook_id: UUID, act: Act) -> bool:
        """Delete an endpoint with all that waits for it; False if there is none."""
        async with transaction(self._pool) as running:
            if not await running.fetchval(_DELETE, webhook_id):
                return False
            await note(running, _entry(act, "webhook_deleted", webhook_id, {}), act.client)
        return True

    async def rotate(self, webhook_id: UUID, secret: bytes, act: Act) -> bool:
        """Sign with another secret, and for a while with the former one too; False if none."""
        async with transaction(self._pool) as running:
            row = await running.fetchrow(_SECRETS_LOCKED, webhook_id)
            if row is None:
                return False
            former = self._open(row["secret"], _place(webhook_id))
            await running.execute(
                _ROTATE,
                webhook_id,
                self._cipher.seal(secret, place=_place(webhook_id)),
                self._cipher.seal(former, place=_place_of_previous(webhook_id)),
                act.at + BOTH_SIGN,
            )
            await note(running, _entry(act, "webhook_secret_rotated", webhook_id, {}), act.client)
        return True

    async def hand_out(self, now: datetime, limit: int) -> int:
        """Make deliveries of the next events; how many events it were."""
        async with changing(self._pool) as writing:
            handed: int = await writing.fetchval(_HAND_OUT, now, limit)
        return handed

    async def claim(self, now: datetime, until: datetime, limit: int) -> list[ClaimedDelivery]:
        """Claim what is due; no other node gets it until then."""
        async with changing(self._pool) as writing:
            rows = await writing.fetch(_CLAIM, now, until, limit)
        return [_claimed(row) for row in rows]

    def secrets_of(self, claimed: ClaimedDelivery, now: datetime) -> list[bytes]:
        """The secrets that sign now, newest first. Raises `CannotOpen`."""
        secrets = [self._cipher.open(claimed.secret, place=_place(claimed.endpoint_id))]
        if claimed.previous_secret is not None and now < (claimed.previous_until or now):
            place = _place_of_previous(claimed.endpoint_id)
            secrets.append(self._cipher.open(claimed.previous_secret, place=place))
        return secrets

    async def delivered(self, claimed: ClaimedDelivery, now: datetime, status: int) -> None:
        """Note that the receiver has it."""
        async with changing(self._pool) as writing:
            await writing.execute(_DELIVERED, claimed.id, claimed.attempts, now, status)

    async def failed(
        self,
        claimed: ClaimedDelivery,
        now: datetime,
        again_at: datetime,
        status: int | None,
        reason: str,
        *,
        given_up: bool,
        gone: bool,
    ) -> bool:
        """Note that it has not; whether that has disabled the endpoint."""
        async with changing(self._pool) as writing:
            disabled = await writing.fetchval(
                *(_FAILED, claimed.id, claimed.attempts, now, again_at, status, reason),
                *(given_up, gone, now - DISABLED_AFTER),
            )
        return bool(disabled)

    async def deliveries(
        self, webhook_id: UUID, status: str | None, before: int | None, limit: int
    ) -> list[Delivery]:
        """Deliveries to an endpoint, the newest events first."""
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_DELIVERIES, webhook_id, status, before, limit)
        return [_delivery(row) for row in rows]

    async def delivery(self, webhook_id: UUID, delivery_id: UUID) -> Delivery | None:
        """One delivery."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_DELIVERY_OF, webhook_id, delivery_id)
        return None if row is None else _delivery(row)

    async def retry(self, webhook_id: UUID, delivery_id: UUID, act: Act) -> bool:
        """Send an event once more; False if it waits already, or there is none."""
        async with transaction(self._pool) as running:
            if not await running.fetchval(_RETRY, webhook_id, delivery_id, act.at):
                return False
            after = {"delivery": str(delivery_id)}
            await note(running, _entry(act, "webhook_replayed", webhook_id, after), act.client)
        return True

    async def replay(
        self,
        webhook_id: UUID,
        after: int,
        until: int | None,
        *,
        failed_only: bool,
        limit: int,
        act: Act,
    ) -> ReplayMade:
        """Send events behind a position once more, also those that were never meant for it."""
        async with transaction(self._pool) as running:
            row = await running.fetchrow(
                _REPLAY, webhook_id, after, until, failed_only, limit, act.at
            )
            asked = {"after": after, "until": until, "failed_only": failed_only}
            await note(running, _entry(act, "webhook_replayed", webhook_id, asked), act.client)
        return ReplayMade(*row) if row else ReplayMade(0, 0, None)

    async def state(self) -> Sequence[EndpointState]:
        """How each endpoint stands."""
        async with connection(self._pool) as reading:
            return [EndpointState(*row) for row in await reading.fetch(_STATE)]

    async def forget(self, now: datetime, limit: int) -> int:
        """Delete a bounded number of deliveries that ended long ago; returns how many."""
        async with changing(self._pool) as writing:
            gone: int = await writing.fetchval(_FORGET, now - KEPT, limit)
        return gone

    def _open(self, sealed: bytes, place: bytes) -> bytes:
        try:
            return self._cipher.open(sealed, place=place)
        except CannotOpen:
            raise refuse("RETRY") from None


def _place(webhook_id: UUID) -> bytes:
    return b"webhook_endpoints.secret:" + webhook_id.bytes


def _place_of_previous(webhook_id: UUID) -> bytes:
    return b"webhook_endpoints.previous_secret:" + webhook_id.bytes


SEALED: Final = SealedColumn(table="webhook_endpoints", key="id", column="secret", place=_place)
SEALED_PREVIOUS: Final = SealedColumn(
    table="webhook_endpoints", key="id", column="previous_secret", place=_place_of_previous
)


def _entry(act: Act, action: str, webhook_id: UUID, after: Mapping[str, Any]) -> AuditEntry:
    return AuditEntry(
        id=act.entry_id,
        at=act.at,
        action=action,
        actor_id=act.by,
        target_id=webhook_id,
        after=after,
    )


def _shown(row: Record) -> Webhook:
    return Webhook(
        id=UUID(bytes=row["id"].bytes),
        url=row["url"],
        description=row["description"],
        types=row["types"],
        cinema_id=None if row["cinema_id"] is None else UUID(bytes=row["cinema_id"].bytes),
        enabled=row["disabled_at"] is None,
        disabled_at=row["disabled_at"],
        disabled_reason=row["disabled_reason"],
        failing_since=row["failing_since"],
        last_error=row["last_error"] if row["failing_since"] else None,
        last_delivered_at=row["last_delivered_at"],
        previous_secret_until=row["previous_until"],
        created_at=row["created_at"],
    )


def _claimed(row: Record) -> ClaimedDelivery:
    return ClaimedDelivery(
        id=UUID(bytes=row["delivery_id"].bytes),
        endpoint_id=UUID(bytes=row["endpoint_id"].bytes),
        attempts=row["attempts"],
        first_due_at=row["first_due_at"],
        url=row["url"],
        event=shown_event(row),
        secret=row["secret"],
        previous_secret=row["previous_secret"],
        previous_until=row["previous_until"],
    )


def _delivery(row: Record) -> Delivery:
    return Delivery(
        id=UUID(bytes=row["id"].bytes),
        event_id=UUID(bytes=row["event_id"].bytes),
        type=row["type"],
        position=row["position"],
        booking_id=None if row["booking_id"] is None else UUID(bytes=row["booking_id"].bytes),
        status=row["status"],
        attempts=row["attempts"],
        next_try_at=row["next_try_at"],
        ended_at=row["ended_at"],
        last_status=row["last_status"],
        last_error=row["last_error"],
    )
