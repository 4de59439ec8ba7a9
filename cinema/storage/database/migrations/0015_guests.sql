-- People who buy without an account. `email` is where the links to their bookings go: set with the
-- first booking. What they hold and have booked stays in the name of the guest; `claimed_by` is the
-- account that it counts as of. `look_at` is when the sweep (features/accounts/guest_store.py) looks
-- at a guest next; null once nothing is left to be forgotten.
create table guests (
    id uuid primary key,
    created_at timestamptz not null,
    expires_at timestamptz not null check (expires_at > created_at),
    ended_at timestamptz,
    email text check (length(email) between 3 and 254),
    email_key text collate "C",
    claimed_by uuid,
    claimed_at timestamptz,
    look_at timestamptz,
    check ((email is null) = (email_key is null)),
    check ((claimed_by is null) = (claimed_at is null))
);
create index guests_by_look on guests (look_at) where look_at is not null;
create index guests_to_claim on guests (email_key) where email_key is not null and claimed_by is null;
create index guests_of_account on guests (claimed_by, claimed_at desc) where claimed_by is not null;

-- Bookings that guests have asked for, written before the showtime is asked: whatever breaks after
-- that, a booking that exists has its row, and is owed a mail until `mailed_at`. `digest` is the
-- SHA-256 of the link in that mail. Nobody else prepares the mail before `next_try_at`.
create table guest_orders (
    booking_id uuid primary key,
    guest_id uuid not null references guests on delete cascade,
    language text not null default '' check (length(language) <= 100),
    created_at timestamptz not null,
    next_try_at timestamptz not null,
    mailed_at timestamptz,
    digest bytea check (octet_length(digest) = 32)
);
create index guest_orders_of_guest on guest_orders (guest_id);
create index guest_orders_owed on guest_orders (next_try_at) where mailed_at is null;

-- Tokens of guests are looked up again once the guest has ended or is somebody's; those of the
-- account too, since they tell whose guests it has.
create function note_guest_change() returns trigger language plpgsql as $$
begin
    insert into account_changes (user_id)
    select one from unnest(array[old.id, old.claimed_by, new.claimed_by]) as one
    where one is not null
    on conflict do nothing;
    return null;
end
$$;
create trigger guests_changed after update on guests
    for each row when (
        old.ended_at is distinct from new.ended_at or old.claimed_by is distinct from new.claimed_by
    )
    execute function note_guest_change();
create trigger guests_deleted after delete on guests
    for each row when (old.expires_at > now() or old.claimed_by is not null)
    execute function note_guest_change();
