-- Products that are sold with tickets. What managers write of one is `product`, a JSON object; its price
-- is in the `currency` that the cinema had then.
create table concession_products (
    id uuid primary key,
    cinema_id uuid not null,
    product jsonb not null check (jsonb_typeof(product) = 'object'),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    version bigint not null default 1,
    created_at timestamptz not null,
    created_by uuid,
    updated_at timestamptz,
    updated_by uuid,
    deleted_at timestamptz
);
create index concession_products_of_cinema on concession_products (cinema_id, id)
    where deleted_at is null;

-- The code by which the products of a booking are handed out. The row is written before its booking,
-- and deleted if that never comes. Whether there is anything to hand out is decided by the booking's
-- status. `kept_by` is a cancellation that is under way: while it is, nothing is handed out.
create table concession_orders (
    booking_id uuid primary key,
    cinema_id uuid not null,
    code text not null,
    reserved_at timestamptz not null,
    kept_by bytea,
    kept_at timestamptz,
    picked_up_at timestamptz,
    picked_up_by uuid,
    constraint concession_orders_code unique (cinema_id, code),
    check ((kept_by is null) = (kept_at is null)),
    check ((picked_up_at is null) = (picked_up_by is null))
);
create index concession_orders_reserved on concession_orders (reserved_at)
    where picked_up_at is null;

-- What products of a booking cost, part of its total. `lines` has each of them.
alter table bookings add column products_minor bigint not null default 0;
