-- Links that mails carry, by the SHA-256 of purpose and token. `email_key` is the address that a
-- link was sent to, or for `email_change` is to be, or for `email_undo` was: it proves no other.
create table account_links (
    digest bytea primary key check (octet_length(digest) = 32),
    purpose text not null
        check (purpose in ('reset', 'verify', 'email_change', 'email_undo', 'invitation')),
    user_id uuid references users on delete cascade,
    email text not null,
    email_key text collate "C" not null,
    role text,
    cinema_ids uuid[] not null default '{}',
    created_by uuid,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    used_at timestamptz
);
create index account_links_of_user on account_links (user_id, purpose) where used_at is null;
create index account_links_of_address on account_links (email_key) where used_at is null;
create index account_links_by_expiry on account_links (expires_at);

-- Mails that were asked for by address. Whether there is an account is looked up by a job, after
-- the answer has gone out: asking takes as long for every address.
create table link_requests (
    id uuid primary key,
    purpose text not null,
    email text not null,
    email_key text collate "C" not null,
    user_id uuid,
    requested_at timestamptz not null
);
create index link_requests_by_time on link_requests (requested_at);
