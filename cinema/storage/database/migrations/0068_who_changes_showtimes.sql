-- Who made a showtime, and who changed it last, as other rows of the catalogue say it. What was there
-- before does not know. Whoever adds a showtime without a person, as the demo does, leaves them null.
alter table showtimes
    add column created_by uuid,
    add column updated_at timestamptz,
    add column updated_by uuid;
