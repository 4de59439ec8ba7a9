-- To whom the invoice of a booking is made out, for as long as it is not issued: then the document has
-- it, and its row here goes.
create table booking_billing (
    booking_id uuid primary key,
    name text not null check (length(name) between 1 and 200),
    address text not null check (length(address) between 1 and 500),
    tax_id text not null default '' check (length(tax_id) <= 40),
    changed_at timestamptz not null
);
create index booking_billing_by_time on booking_billing (changed_at);
