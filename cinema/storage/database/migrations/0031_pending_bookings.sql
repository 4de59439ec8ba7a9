-- A pending booking waits for its payment until `pay_until`; then its seats are given up. Where that
-- depends on the start of the showtime, `pay_before_start_s` says by how much.
alter table bookings
    add column pay_until timestamptz,
    add column pay_before_start_s integer;
create index bookings_to_pay on bookings (pay_until) where status = 'pending';
create index bookings_pending_of_user on bookings (user_id) where status = 'pending';
