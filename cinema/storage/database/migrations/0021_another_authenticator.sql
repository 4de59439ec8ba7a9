-- A secret that takes the place of the one in force once a code of it is shown; sealed like that.
-- `recovery_at` is since when the recovery codes are those they are; null: since before this column.
alter table totp_factors
    add column next_sealed bytea,
    add column next_begun_at timestamptz,
    add column recovery_at timestamptz;
