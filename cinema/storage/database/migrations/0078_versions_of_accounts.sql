-- Several admins change role, cinemas and standing of one account: each change makes another version.
alter table users add column version integer not null default 1;
