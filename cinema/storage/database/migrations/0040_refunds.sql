-- contract: 0034
-- Nothing is taken away; the mark is for the trigger on cinemas, which builds before this one set off
-- too, and need not know of.
--
-- What a cinema gives back, as it was at each time. Who booked is given back by what held then.
create table refund_policies (
    cinema_id uuid not null,
    valid_from timestamptz not null,
    policy jsonb not null,
    primary key (cinema_id, valid_from)
);
insert into refund_policies (cinema_id, valid_from, policy)
select id, '-infinity', refund_policy from cinemas;

create function refund_policy_changed() returns trigger language plpgsql as $$
begin
    insert into refund_policies (cinema_id, valid_from, policy)
    values (
        new.id, case when tg_op = 'INSERT' then '-infinity' else clock_timestamp() end,
        new.refund_policy
    )
    on conflict (cinema_id, valid_from) do update set policy = excluded.policy;
    return null;
end
$$;
create trigger cinemas_get_refund_policies after insert on cinemas
    for each row execute function refund_policy_changed();
create trigger cinemas_change_refund_policies after update on cinemas
    for each row when (old.refund_policy is distinct from new.refund_policy)
    execute function refund_policy_changed();

-- Money that goes back, one row for each attempt that it was taken by. `event_seq` is that of the event
-- of the showtime which gave seats back; without it money went back alone. One that is `pending` waits
-- for its provider, one that is `failed` for staff.
create table refunds (
    id uuid primary key,
    payment_id uuid not null,
    booking_id uuid not null,
    showtime_id uuid not null,
    event_seq bigint,
    kind text not null check (kind in ('cancellation', 'goodwill', 'unwanted')),
    amount_minor bigint not null check (amount_minor > 0),
    currency text not null,
    status text not null check (status in ('pending', 'succeeded', 'failed')),
    reason text not null default '',
    requested_by uuid,
    request_key bytea constraint refunds_request_key unique,
    fingerprint bytea,
    reference text,
    error_code text,
    attempts integer not null default 0,
    next_try_at timestamptz not null,
    created_at timestamptz not null,
    settled_at timestamptz
);
create index refunds_of_booking on refunds (booking_id);
create index refunds_due on refunds (next_try_at) where status = 'pending';
create index refunds_failed on refunds (created_at, id) where status = 'failed';
-- What came too late, or twice, goes back once.
create unique index refunds_unwanted on refunds (payment_id) where kind = 'unwanted';

-- What the last refund took: the statement that takes it also writes it down elsewhere.
alter table payments add column last_refund_minor bigint not null default 0;
