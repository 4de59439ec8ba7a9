-- Pictures that were uploaded for films. A film shows one by its address; of those that none shows
-- the files are deleted after a while.
create table posters (
    digest text primary key check (digest ~ '^[0-9a-f]{64}$'),
    stored_at timestamptz not null
);
create index posters_by_age on posters (stored_at);

-- A small table is written anew once.
alter table movies add column poster_digest text
    generated always as (substring(poster_url from '^/media/([0-9a-f]{64})-')) stored;
create index movies_of_poster on movies (poster_digest) where poster_digest is not null;
