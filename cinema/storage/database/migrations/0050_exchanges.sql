-- contract: 0044
-- Nothing is taken away; the mark is for checks that allow more.
--
-- Exchanges of a booking for seats of another showtime (docs/adr/060-exchange.md). The state says which
-- of the two bookings counts. `carried_minor` is what the old one pays of the new one, `more_minor` what
-- is paid beside it, as `payment_id`.
create table exchanges (
    id uuid primary key,
    state text not null default 'pending'
        check (state in ('pending', 'committed', 'aborted', 'done', 'given_back')),
    user_id uuid not null,
    from_booking_id uuid not null,
    from_showtime_id uuid not null,
    to_booking_id uuid not null constraint exchanges_to_booking unique,
    to_showtime_id uuid not null,
    to_hold_id uuid not null,
    code text not null,
    carried_minor bigint not null check (carried_minor >= 0),
    taken_minor bigint not null default 0,
    more_minor bigint not null check (more_minor >= 0),
    currency text not null,
    payment_id uuid not null,
    payment_method text not null,
    request_key bytea,
    fingerprint bytea,
    started_at timestamptz not null,
    commit_until timestamptz not null,
    decided_at timestamptz
);
create unique index exchanges_request_key on exchanges (request_key) where state <> 'aborted';
create index exchanges_open on exchanges (commit_until) where state in ('pending', 'committed');
create index exchanges_to_showtime on exchanges (to_showtime_id) where state = 'pending';

-- Whoever comes second is refused, with all that its statement would have written.
create function exchange_decided() returns trigger language plpgsql as $$
begin
    if old.state in ('aborted', 'done', 'given_back')
        or (old.state = 'committed' and new.state not in ('done', 'given_back'))
        or (old.state = 'pending' and new.state not in ('committed', 'aborted'))
    then
        raise exception 'this exchange is %', old.state
            using errcode = 'check_violation', constraint = 'exchanges_decided_once';
    end if;
    if new.state = 'committed' and new.taken_minor <> new.carried_minor then
        raise exception 'less is left than is to be carried'
            using errcode = 'check_violation', constraint = 'exchanges_paid_in_full';
    end if;
    return new;
end
$$;
create trigger exchanges_are_decided_once before update on exchanges
    for each row when (old.state <> new.state) execute function exchange_decided();

-- A payment of a new booking by money that was paid for the old one: which payment of that, and which
-- payment has had the money first. Refunds are asked of that one.
alter table payments
    add column carried_from uuid,
    add column origin_id uuid;
create index payments_of_origin on payments (origin_id) where origin_id is not null;
alter table refunds
    drop constraint refunds_kind_check,
    add constraint refunds_kind_check check (
        kind in ('cancellation', 'goodwill', 'unwanted', 'exchange')
    ) not valid;
alter table ledger
    drop constraint ledger_accounts,
    add constraint ledger_accounts check (accounts <@ array[
        'customer', 'gift_cards', 'points', 'cash', 'terminal', 'stripe', 'demo', 'revenue', 'tax',
        'fees', 'deferred', 'exchange'
    ]) not valid;
