-- Uses of promo codes, one for each booking: reserved before it is made, settled with its event, returned
-- when it ends or never came. `promo_codes.uses` counts those that are not returned. `customers` are
-- names of who uses it (an account, a digest of an address), of which any counts.
create table promo_uses (
    booking_id uuid primary key,
    promo_id uuid not null references promo_codes,
    customers text[] not null,
    state text not null default 'reserved'
        check (state in ('reserved', 'used', 'ended', 'returned')),
    reserved_at timestamptz not null
);
create index promo_uses_of_customers on promo_uses using gin (customers) where state <> 'returned';
create index promo_uses_to_return on promo_uses (booking_id) where state in ('reserved', 'ended');
