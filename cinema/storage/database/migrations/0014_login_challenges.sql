-- Logins whose password was right and which wait for a code, by the SHA-256 of their token. The
-- version is the account's then: a change of password or of the authenticator voids them.
create table login_challenges (
    digest bytea primary key check (octet_length(digest) = 32),
    user_id uuid not null references users on delete cascade,
    password_version integer not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    tries smallint not null default 0
);
create index login_challenges_of_user on login_challenges (user_id, created_at);
create index login_challenges_by_expiry on login_challenges (expires_at);
