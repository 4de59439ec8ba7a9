-- contract: 0044
-- Nothing is taken away; the mark is for the trigger on users, which builds before this one set off too,
-- and need not know of.
--
-- Up to which public event customers were written of their bookings; those of before get no mail.
create table booking_mail_mark (
    position bigint not null,
    only_one boolean primary key default true check (only_one)
);
insert into booking_mail_mark (position) select coalesce(max(position), 0) from public_events;

-- Whether a booking that was cancelled was given for another one. Few bookings are.
create index exchanges_from_booking on exchanges (from_booking_id);

-- How far the reminders of a showtime that begins soon are: all that it has had by `ended_at`, for the
-- time at which it then began, or those up to a booking.
create table showtime_reminders (
    showtime_id uuid primary key references showtimes on delete cascade,
    starts_at timestamptz not null,
    last_booking_id uuid,
    ended_at timestamptz
);
create index showtime_reminders_by_start on showtime_reminders (starts_at);

-- Who wants no mails of a kind (docs/adr/072-which-mails.md): the SHA-256 of an address in the form of
-- `users.email_key`, whether it has an account or not.
create table messages_off (
    address_digest bytea not null check (octet_length(address_digest) = 32),
    kind text not null check (length(kind) between 1 and 64),
    since timestamptz not null,
    primary key (address_digest, kind)
);

-- Who wants messages of these kinds on the telephone too; the number is sealed.
create table message_phones (
    user_id uuid primary key references users on delete cascade,
    number bytea not null check (octet_length(number) <= 200),
    kinds text[] not null check (cardinality(kinds) between 1 and 16)
);

-- How a message is sent. `recipient` is an address of mail all the same: where to send it is read
-- when it is sent.
alter table messages add column channel text not null default 'mail';

-- Receipts have a queue of their own. Few messages wait at a time.
create index messages_due_usual on messages (next_try_at, id)
where status = 'waiting' and kind <> 'booking_receipt';
create index messages_due_receipts on messages (next_try_at, id)
where status = 'waiting' and kind = 'booking_receipt';

-- An account keeps its choices with another address. They go when it is erased.
create function move_messages_off() returns trigger language plpgsql as $$
declare
    former bytea := sha256(convert_to(old.email_key, 'UTF8'));
begin
    if new.deleted_at is null then
        insert into messages_off (address_digest, kind, since)
        select sha256(convert_to(new.email_key, 'UTF8')), kind, since from messages_off
        where address_digest = former
        on conflict do nothing;
    end if;
    delete from messages_off where address_digest = former;
    if new.deleted_at is not null then
        delete from message_phones where user_id = new.id;
    end if;
    return null;
end
$$;
create trigger users_keep_messages_off after update on users
    for each row when (old.email_key is distinct from new.email_key)
    execute function move_messages_off();
