-- contract: 0014
-- Nothing is taken away; the mark is for the triggers, which builds before this one set off too, and need
-- not know of.
--
-- How often films, cinemas (with their screens) and showtimes have changed, whoever changed them: what
-- caches keep of them is good as long as these numbers are the same (cinema/storage/cache). Triggers
-- count, since no statement forgets them.
--
-- The number of a group is the sum over all rows. A transaction counts in one of several rows, so that
-- two rarely wait for each other; it does so when it commits, after all its other locks, so that nobody
-- waits in a circle, and nobody waits for a client that thinks. Steps are random: a database that was
-- restored to an earlier state never comes to a number of the history that it has lost.
create table catalogue_versions (
    place integer primary key,
    movies bigint not null default 0,
    cinemas bigint not null default 0,
    showtimes bigint not null default 0
) with (fillfactor = 20);
insert into catalogue_versions (place) select generate_series(0, 15);

create function count_catalogue_change() returns trigger language plpgsql as $$
declare
    noted text := 'catalogue_counted.' || tg_argv[0];
begin
    -- Once in a transaction is enough: others see all of it or nothing.
    if current_setting(noted, true) is distinct from pg_current_xact_id()::text then
        perform set_config(noted, pg_current_xact_id()::text, true);
        execute format(
            'update catalogue_versions set %1$I = %1$I + 1 + floor(random() * 1e9)::bigint '
            'where place = pg_backend_pid() %% 16', tg_argv[0]);
    end if;
    return null;
end
$$;

-- How popular films are is computed for all of them at once: that counts once for the statement.
create constraint trigger movies_counted
    after update on movies deferrable initially deferred
    for each row when (old.popularity = new.popularity)
    execute function count_catalogue_change('movies');
create constraint trigger movies_come_and_gone_counted
    after insert or delete on movies deferrable initially deferred
    for each row execute function count_catalogue_change('movies');
create trigger movies_popularity_counted
    after update of popularity on movies
    for each statement execute function count_catalogue_change('movies');
create constraint trigger cinemas_counted
    after insert or update or delete on cinemas deferrable initially deferred
    for each row execute function count_catalogue_change('cinemas');
create constraint trigger screens_counted
    after insert or update or delete on screens deferrable initially deferred
    for each row execute function count_catalogue_change('cinemas');
create constraint trigger showtimes_counted
    after insert or update or delete on showtimes deferrable initially deferred
    for each row execute function count_catalogue_change('showtimes');
