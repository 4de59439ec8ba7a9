-- Whether seats of a series that was called off may still be held: whoever calls it off says so in the same statement,
-- and somebody lets go of them, whatever happens to that node. Nodes of the version before leave it false.
alter table series add column to_free boolean not null default false;
create index series_to_free on series (commit_until) where to_free;
