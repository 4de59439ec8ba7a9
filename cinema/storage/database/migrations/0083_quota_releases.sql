-- contract: 0076
-- Nothing is taken away; the mark is for the triggers on showtimes, which builds before this one set off too.
--
-- When quotas of channels are released, for whoever has to offer what they leave: a look of some seconds is a range of
-- the index, however many showtimes have quotas.
create table quota_releases (
    showtime_id uuid not null references showtimes on delete cascade,
    released_at timestamptz not null,
    primary key (released_at, showtime_id)
);
create index quota_releases_of_showtime on quota_releases (showtime_id);

create function note_quota_releases() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' then
        delete from quota_releases where showtime_id = new.id;
    end if;
    insert into quota_releases (showtime_id, released_at)
    select distinct new.id, (quota ->> 'released_at')::timestamptz
    from jsonb_array_elements(
        case jsonb_typeof(new.rules -> 'channels') when 'array' then new.rules -> 'channels' end
    ) quota
    where quota ->> 'released_at' is not null;
    return null;
end
$$;
create trigger showtimes_note_quota_releases after insert on showtimes
    for each row when (jsonb_typeof(new.rules -> 'channels') = 'array')
    execute function note_quota_releases();
create trigger showtimes_note_other_quota_releases after update of rules on showtimes
    for each row when (new.rules -> 'channels' is distinct from old.rules -> 'channels')
    execute function note_quota_releases();

insert into quota_releases (showtime_id, released_at)
select distinct s.id, (quota ->> 'released_at')::timestamptz
from showtimes s
cross join lateral jsonb_array_elements(
    case jsonb_typeof(s.rules -> 'channels') when 'array' then s.rules -> 'channels' end
) quota
where s.ends_at > now() and quota ->> 'released_at' is not null;
