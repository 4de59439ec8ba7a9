-- contract: 0040
-- Nothing is taken away; the mark is for the check of `refunds.status`, which allows more.
--
-- Money that was taken at a counter goes back there: it waits until somebody hands it out.
alter table refunds
    drop constraint refunds_status_check,
    add constraint refunds_status_check check (
        status in ('pending', 'at_counter', 'succeeded', 'failed')
    ) not valid;
create index refunds_at_counter on refunds (created_at, id) where status = 'at_counter';

-- From which drawer a refund was handed out.
create table cash_payouts (
    refund_id uuid primary key,
    session_id uuid not null references cash_sessions (id),
    tender text not null check (tender in ('cash', 'terminal')),
    amount_minor bigint not null check (amount_minor > 0),
    reference text not null default '',
    paid_at timestamptz not null
);
create index cash_payouts_of_session on cash_payouts (session_id);
create trigger cash_payouts_stay before update or delete on cash_payouts
for each row execute function refuse_to_change_what_is_closed();
