-- Tickets that get other seats. From what the prices of a booking follow: so other seats cost what they
-- would have cost then. Bookings of builds before this one do not know it.
alter table bookings add column priced_by jsonb;
-- The seat for which a ticket was sold; null if it is still that one. The row of the former seat stays.
alter table booking_seats add column changed_from text;
-- A payment of what other seats cost more: it belongs to the booking beside the one that counts.
alter table payments add column for_change boolean not null default false;
