-- contract: 0014
-- The constraint on names of screens gives way to an index of the same name, which builds before
-- this one meet in the same way. A name is free again once its screen is deleted.
--
-- Rows of the catalogue know their version (each change adds one; clients see it as `ETag`), who
-- made and who changed them last, and are deleted softly: bookings of years ago still point at them.
alter table movies
    add column version integer not null default 1,
    add column created_by uuid,
    add column updated_at timestamptz,
    add column updated_by uuid,
    add column deleted_at timestamptz;
alter table cinemas
    add column version integer not null default 1,
    add column created_by uuid,
    add column updated_at timestamptz,
    add column updated_by uuid,
    add column deleted_at timestamptz;
alter table screens
    add column version integer not null default 1,
    add column created_by uuid,
    add column updated_at timestamptz,
    add column updated_by uuid,
    add column deleted_at timestamptz;

-- Screens are some dozen a cinema: this is done at once.
alter table screens drop constraint screens_name_taken;
create unique index screens_name_taken on screens (cinema_id, name) where deleted_at is null;
