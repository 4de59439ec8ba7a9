-- Seats that were offered to somebody who waited, and of which they have not been told yet
-- (docs/adr/066-wait-lists.md). The row is written with the event that makes the offer, and deleted in
-- the transaction that enqueues its mail, or when there is nobody to tell.
create table waitlist_offers (
    hold_id uuid primary key,
    showtime_id uuid not null,
    user_id uuid not null,
    offered_at timestamptz not null,
    expires_at timestamptz not null
);
create index waitlist_offers_oldest on waitlist_offers (offered_at, hold_id);
