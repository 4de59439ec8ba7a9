-- Who made, changed and deleted an account. A deleted one keeps its row for what refers to it.
alter table users
    add column created_by uuid,
    add column updated_at timestamptz,
    add column updated_by uuid,
    add column deleted_at timestamptz,
    add column deleted_by uuid;
create index users_by_age on users (created_at desc, id desc);
