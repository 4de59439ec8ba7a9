-- contract: 0003
-- Nothing is taken away; the mark is for the triggers, which builds before this one set off too,
-- and which only add to a table of their own.
--
-- What an account may do, and how nodes learn that it changed. From here on `cinema_managers`
-- says which cinemas staff belong to as well; the name stays for the builds that know it.

alter table users add column disabled_at timestamptz;

-- One row for each transaction that changed what the tokens of an account are good for, whoever
-- did it. Nodes read what is new since their last look by `changed_in`: a transaction below the
-- `xmin` of a snapshot has ended, so that nothing can turn up later behind a reader's back.
create table account_changes (
    changed_in xid8 not null default pg_current_xact_id(),
    user_id uuid not null,
    changed_at timestamptz not null default clock_timestamp(),
    primary key (changed_in, user_id)
);

-- The argument names the column with the account's id.
create function note_account_change() returns trigger language plpgsql as $$
begin
    insert into account_changes (user_id)
    values ((to_jsonb(case when tg_op = 'INSERT' then new else old end) ->> tg_argv[0])::uuid)
    on conflict do nothing;
    return null;
end
$$;

create trigger users_changed after update on users
    for each row when (
        old.role is distinct from new.role or old.disabled_at is distinct from new.disabled_at
    )
    execute function note_account_change('id');
create trigger users_deleted after delete on users
    for each row execute function note_account_change('id');

create trigger sessions_revoked after update on sessions
    for each row when (old.revoked_at is distinct from new.revoked_at)
    execute function note_account_change('user_id');
-- A session that has expired is only cleared away.
create trigger sessions_deleted after delete on sessions
    for each row when (old.expires_at > now())
    execute function note_account_change('user_id');

create trigger cinemas_of_account_changed after insert or update or delete on cinema_managers
    for each row execute function note_account_change('user_id');
