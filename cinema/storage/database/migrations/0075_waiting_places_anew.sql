-- How often a place inside has gone on to another guest of its device, which has a bound: one place is not for many.
alter table waiting_places add column handed_on smallint not null default 0;
