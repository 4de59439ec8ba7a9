-- What a cinema has told a distributor of a film: numbered, and never changed. What changes after it,
-- as by a refund, is a correction in the next one. `content` is the return as it was drawn, JSON.
create table distributor_returns (
    id uuid primary key,
    cinema_id uuid not null,
    movie_id uuid not null,
    number integer not null check (number > 0),
    drawn_at timestamptz not null,
    content text not null check (content is json object),
    constraint distributor_returns_numbers unique (cinema_id, movie_id, number)
);
create index distributor_returns_of_cinema on distributor_returns (cinema_id, id desc);
create function refuse_return_change() returns trigger language plpgsql as $$
begin
    raise exception 'returns never change' using errcode = 'insufficient_privilege';
end
$$;
create trigger distributor_returns_stay before update or delete on distributor_returns
    for each row execute function refuse_return_change();
create trigger distributor_returns_are_never_emptied before truncate on distributor_returns
    for each statement execute function refuse_return_change();
