-- When an account that its owner has given up is erased; signing in before takes that back.
alter table users add column erase_at timestamptz;
create index users_to_erase on users (erase_at) where erase_at is not null;
