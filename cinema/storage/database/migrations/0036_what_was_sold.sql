-- What tickets were sold as: their types, the tax in each, and the lines of the order beside its seats
-- (discounts, fees, taxes by rate), as they were quoted. Builds before this one sell to adults, without
-- fees, by prices that have no tax.
alter table bookings
    add column fees_minor bigint not null default 0 check (fees_minor >= 0),
    add column tax_minor bigint not null default 0 check (tax_minor >= 0),
    add column lines jsonb,
    add column promo_code text;
alter table booking_seats
    add column type text not null default 'adult',
    add column tax_minor bigint not null default 0 check (tax_minor >= 0);
