-- contract: 0014
-- Builds before this one search by the trigrams that are in the vocabulary: they become slower at that,
-- not wrong. The trigger gives the words that they add their rows here.
--
-- Which words have a trigram, in rows: those that have most in common with a word that is typed wrongly
-- are counted in an index alone.
create table movie_trigrams (
    trigram text collate "C" not null,
    word text collate "C" not null,
    primary key (trigram, word)
);

create function add_trigrams() returns trigger language plpgsql as $$
begin
    insert into movie_trigrams (trigram, word)
    select trigram, word from added, unnest(trigrams) as trigram
    order by trigram, word
    on conflict do nothing;
    return null;
end
$$;
create trigger vocabulary_in_trigrams after insert on movie_vocabulary
    referencing new table as added
    for each statement execute function add_trigrams();

insert into movie_trigrams (trigram, word)
select trigram, word from movie_vocabulary, unnest(trigrams) as trigram
on conflict do nothing;
drop index movie_vocabulary_by_trigram;

-- The words of a few films, without a look at the table.
create index movie_words_in_movie on movie_words (movie_id) include (word, weight);
drop index movie_words_of_movie;

-- Showtimes of a format or a language, and which of them there are: some seconds for a million showtimes.
create index showtimes_by_kind
    on showtimes ((lower(format) collate "C"), (lower(language) collate "C"), starts_at)
    where status <> 'cancelled';

create index users_by_role on users (role, created_at, id) where deleted_at is null;
