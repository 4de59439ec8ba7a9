-- Which experiment an exposure belongs to, if any, and by which of its ways the films were ordered
-- (docs/adr/076-experiments.md).
alter table recommendation_exposures
    add column experiment text not null default '',
    add column arm text not null default '',
    add column is_control boolean not null default false;
