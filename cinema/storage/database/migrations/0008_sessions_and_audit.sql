-- A session is a family of refresh tokens. Only the SHA-256 of the one in force is here; the ones
-- before it are told by deriving what followed them. Sessions of older builds have none and end
-- with their access token.
alter table sessions
    add column refresh_digest bytea,
    add column rotations timestamptz[] not null default '{}',
    add column last_used_at timestamptz,
    add column address text not null default '',
    add column agent text not null default '';

-- The language of messages; and how often the password was set anew, so that a login which began
-- with the one before opens no session after that. A hash at another cost is no other password.
alter table users
    add column language text not null default 'en',
    add column password_version integer not null default 0;

-- Who did what to accounts. No foreign keys: it outlives what it tells of. Its rows hold no
-- e-mail address and no name, since nothing can be taken out of it again.
create table audit_log (
    id uuid primary key,
    at timestamptz not null,
    actor_id uuid,
    action text not null check (length(action) between 1 and 64),
    target_id uuid,
    before jsonb not null default '{}' check (jsonb_typeof(before) = 'object'),
    after jsonb not null default '{}' check (jsonb_typeof(after) = 'object'),
    request_id text not null default '',
    address text not null default ''
);
create index audit_log_by_time on audit_log (at desc, id desc);
create index audit_log_by_target on audit_log (target_id, at desc, id desc);
create index audit_log_by_actor on audit_log (actor_id, at desc, id desc);

create function refuse_audit_change() returns trigger language plpgsql as $$
begin
    raise exception 'audit_log only grows' using errcode = 'insufficient_privilege';
end
$$;
create trigger audit_log_only_grows before update or delete on audit_log
    for each row execute function refuse_audit_change();
create trigger audit_log_is_never_emptied before truncate on audit_log
    for each statement execute function refuse_audit_change();
-- The owner's own rights too, which a superuser alone has all the same: hence the triggers.
revoke update, delete, truncate on audit_log from public, current_user;
