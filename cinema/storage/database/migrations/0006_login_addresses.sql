-- Addresses from which an account was signed in to, so that a storm of failures from elsewhere
-- does not lock its owner out. Both are digests: what was tried and from where is nobody's reading.
create table login_addresses (
    account bytea not null check (octet_length(account) = 16),
    address bytea not null check (octet_length(address) = 16),
    last_at timestamptz not null,
    primary key (account, address)
);
create index login_addresses_by_age on login_addresses (last_at);
