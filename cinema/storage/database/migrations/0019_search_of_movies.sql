-- What films are found by. The server splits and folds titles (cinema/domain/searching.py): the
-- extensions that could do it inside Postgres are not everywhere.

alter table movies
    add column search_form smallint not null default 0,
    add column popularity integer not null default 0;

-- A word of a title, and what it is worth there.
create table movie_words (
    word text collate "C" not null,
    movie_id uuid not null references movies on delete cascade,
    weight smallint not null,
    primary key (word, movie_id) include (weight)
);
create index movie_words_of_movie on movie_words (movie_id);

-- All words there ever were, for those that are typed wrongly.
create table movie_vocabulary (
    word text collate "C" primary key,
    trigrams text[] collate "C" not null
);
create index movie_vocabulary_by_trigram on movie_vocabulary using gin (trigrams);

-- Films whose words are not there yet: those of before, of older builds, of the demo.
create index movies_without_words on movies (id) where search_form < 1 and deleted_at is null;

create index movies_by_release on movies ((coalesce(release_date - date '1970-01-01', -1000000)), id)
    where deleted_at is null;
create index movies_by_popularity on movies (popularity, id) where deleted_at is null;

-- What runs on a day of the cinema's calendar, for lists of films. An index on a million showtimes
-- is made in about a second.
create index showtimes_by_day on showtimes (local_date, movie_id) where status <> 'cancelled';
create index showtimes_of_movie_by_day on showtimes (movie_id, local_date)
    where status <> 'cancelled';

-- When a figure about the catalogue was computed last; whoever moves it on computes it anew.
create table catalog_figures (
    name text primary key,
    computed_at timestamptz not null
);
insert into catalog_figures (name, computed_at) values ('popularity', '1970-01-01Z');
