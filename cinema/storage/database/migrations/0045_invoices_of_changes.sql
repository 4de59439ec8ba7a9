-- contract: 0042
-- Builds before this one write one invoice for a booking, and one document for an event, which the new
-- indexes allow too.
--
-- Invoices of what other seats cost more come beside that of the booking, and what goes back may be
-- of several invoices, with a document for each.
alter table invoices add column supplements_id uuid references invoices;
drop index invoices_one_a_booking;
create unique index invoices_one_a_booking on invoices (booking_id)
    where kind = 'invoice' and supplements_id is null;
alter table invoices drop constraint invoices_of_events;
create unique index invoices_of_events on invoices (showtime_id, event_seq, (
    coalesce(corrects_id, '00000000-0000-0000-0000-000000000000')
)) where event_seq is not null;
