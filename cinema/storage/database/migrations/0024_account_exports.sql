-- What an account is told of itself: one file, in sealed pieces, so that every node can make and
-- hand it out and nothing is left of it once it is deleted. Without `digest` it is being made. The
-- id is that of the job.
create table account_exports (
    id uuid primary key,
    user_id uuid not null references users on delete cascade,
    created_at timestamptz not null,
    digest bytea unique check (octet_length(digest) = 32),
    expires_at timestamptz,
    size_bytes bigint check (size_bytes > 0),
    check ((digest is null) = (expires_at is null) and (digest is null) = (size_bytes is null))
);
create index account_exports_of_user on account_exports (user_id);
create index account_exports_by_expiry on account_exports (expires_at, created_at);

create table account_export_pieces (
    id uuid primary key,
    export_id uuid not null references account_exports on delete cascade,
    number integer not null check (number >= 0),
    sealed bytea not null,
    constraint account_export_pieces_once unique (export_id, number)
);
-- Deflated and encrypted bytes do not become shorter: trying would cost time only.
alter table account_export_pieces alter column sealed set storage external;

-- What was sent to somebody, for the export and for erasure. Mails are kept for weeks only, so the
-- table is small, and mails are the only ones to wait.
create index messages_by_recipient on messages (recipient, created_at);
