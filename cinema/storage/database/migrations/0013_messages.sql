-- Mails to be sent, written in the transaction of what they are about. `body` is what the templates
-- are filled with, sealed; it is gone once nobody needs it. Nobody may take a message before
-- `next_try_at`: while it is being sent, that is when the attempt is given up for lost.
create table messages (
    id uuid primary key,
    dedupe_key text not null constraint messages_once unique
        check (length(dedupe_key) between 1 and 200),
    kind text not null check (length(kind) between 1 and 64),
    recipient text not null check (length(recipient) between 3 and 254),
    language text not null check (language ~ '^[a-z]{2}$'),
    body bytea check (octet_length(body) <= 65536),
    status text not null default 'waiting'
        check (status in ('waiting', 'sent', 'dropped', 'dead')),
    created_at timestamptz not null,
    send_at timestamptz not null,
    drop_after timestamptz,
    next_try_at timestamptz not null,
    attempts integer not null default 0 check (attempts >= 0),
    ended_at timestamptz,
    last_error text check (length(last_error) <= 1000)
);
create index messages_due on messages (next_try_at, id) where status = 'waiting';
create index messages_by_status on messages (status, created_at desc, id desc);
create index messages_ended on messages (ended_at) where ended_at is not null;
