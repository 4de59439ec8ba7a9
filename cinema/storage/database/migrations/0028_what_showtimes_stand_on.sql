-- contract: 0018
-- Nothing is taken away; the mark is for the triggers, which builds before this one set off too.
-- What is refused them is a showtime on something that was deleted a moment ago: they answer RETRY,
-- and find out at the next attempt.
--
-- A showtime needs a film and a screen that are not deleted. Whoever looks before may be behind by
-- the time of the write; so this looks again, as a foreign key does: the lock lets a deletion that
-- is under way end first, and one that comes later wait and then find the showtime. The names are
-- those of the foreign keys, since what they say is the same.

create function check_what_showtimes_stand_on() returns trigger language plpgsql as $$
begin
    perform from movies where id = new.movie_id and deleted_at is null for key share;
    if not found then
        raise exception 'the film % is deleted', new.movie_id
            using errcode = 'foreign_key_violation', constraint = 'showtimes_movie';
    end if;
    perform from screens where id = new.screen_id and deleted_at is null for key share;
    if not found then
        raise exception 'the screen % is deleted', new.screen_id
            using errcode = 'foreign_key_violation', constraint = 'showtimes_screen';
    end if;
    return null;
end
$$;

create trigger showtimes_made after insert on showtimes
    for each row execute function check_what_showtimes_stand_on();
create trigger showtimes_moved after update on showtimes
    for each row when (new.movie_id <> old.movie_id or new.screen_id <> old.screen_id)
    execute function check_what_showtimes_stand_on();
