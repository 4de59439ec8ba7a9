-- Authenticators. The secret is sealed (storage/encryption.py); of recovery codes there are digests.
-- `last_step` is the time step of the code that was used last: each counts once.
create table totp_factors (
    user_id uuid primary key references users on delete cascade,
    sealed bytea not null,
    recovery bytea[] not null default '{}',
    last_step bigint not null default 0,
    created_at timestamptz not null,
    confirmed_at timestamptz
);
