-- Up to which public event customers were written of their bookings; those of before get no mail.
create table booking_mail_mark (
    position bigint not null,
    only_one boolean primary key default true check (only_one)
);
insert into booking_mail_mark (position) select coalesce(max(position), 0) from public_events;
