-- Invoices, credit notes and cancellations: numbered without gaps for each cinema, kind and year, and
-- never changed or deleted. A number is taken in the transaction that inserts its document, so neither
-- exists without the other; the row of its counter is locked only for that.
create table invoice_counters (
    cinema_id uuid not null,
    kind text not null,
    year integer not null,
    last bigint not null check (last > 0),
    primary key (cinema_id, kind, year)
);

-- `content` is the document as it was issued, JSON: what is printed comes from there alone. It is
-- text, so that not even the order of its fields changes. `event_seq` is the event at the showtime
-- that led to it; null if the document was missing, and made later.
create table invoices (
    id uuid primary key,
    cinema_id uuid not null,
    kind text not null check (kind in ('invoice', 'credit_note', 'cancellation')),
    year integer not null,
    seq bigint not null check (seq > 0),
    number text not null,
    booking_id uuid not null,
    corrects_id uuid references invoices,
    showtime_id uuid not null,
    event_seq bigint,
    issued_at timestamptz not null,
    issued_on date not null,
    total_minor bigint not null check (total_minor >= 0),
    currency text not null,
    content text not null check (content is json object),
    constraint invoices_numbers unique (cinema_id, kind, year, seq),
    constraint invoices_of_events unique (showtime_id, event_seq),
    check ((kind = 'invoice') = (corrects_id is null))
);
create unique index invoices_one_a_booking on invoices (booking_id) where kind = 'invoice';
create index invoices_of_booking on invoices (booking_id, id);
create index invoices_of_cinema on invoices (cinema_id, issued_at desc, id desc);

create function refuse_invoice_change() returns trigger language plpgsql as $$
begin
    raise exception 'documents never change' using errcode = 'insufficient_privilege';
end
$$;
create trigger invoices_stay before update or delete on invoices
    for each row execute function refuse_invoice_change();
create trigger invoices_are_never_emptied before truncate on invoices
    for each statement execute function refuse_invoice_change();
create trigger invoice_counters_stay before delete on invoice_counters
    for each row execute function refuse_invoice_change();
create trigger invoice_counters_only_rise before update on invoice_counters
    for each row when (new.last <= old.last) execute function refuse_invoice_change();
create trigger invoice_counters_are_never_emptied before truncate on invoice_counters
    for each statement execute function refuse_invoice_change();

-- The documents that are to be made, each written with the event that asks for it, and deleted in the
-- transaction of its document. `what` is what the event says of a refund.
create table invoices_due (
    showtime_id uuid not null,
    seq bigint not null,
    booking_id uuid not null,
    what jsonb not null,
    due_at timestamptz not null,
    next_try_at timestamptz not null,
    attempts integer not null default 0,
    last_error text check (length(last_error) <= 1000),
    primary key (showtime_id, seq)
);
create index invoices_due_by_time on invoices_due (next_try_at, showtime_id, seq);
-- Rows come and go with bookings, as in the outbox.
alter table invoices_due set (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 50000
);

-- Who sells the tickets, as law asks; where empty, the name and the address of the cinema.
alter table cinemas
    add column legal_name text not null default '',
    add column legal_address text not null default '';
