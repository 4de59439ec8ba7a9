-- What people say of films that they have seen (docs/adr/071-reviews-and-reports.md). Somebody has one
-- review of a film that is not deleted. `reason` says why it was rejected. `reports` counts who has
-- reported it since a moderator decided last.
create table reviews (
    id uuid primary key,
    movie_id uuid not null,
    user_id uuid not null,
    rating smallint not null check (rating between 1 and 5),
    text text not null check (length(text) <= 4000),
    status text not null check (status in ('pending', 'published', 'rejected')),
    reason text not null default '',
    reports integer not null default 0 check (reports >= 0),
    created_at timestamptz not null,
    updated_at timestamptz,
    decided_at timestamptz,
    decided_by uuid,
    deleted_at timestamptz
);
create unique index reviews_of_customer on reviews (user_id, movie_id) where deleted_at is null;
create index reviews_of_movie on reviews (movie_id, created_at desc, id desc)
    where status = 'published' and deleted_at is null;
create index reviews_by_status on reviews (status, created_at, id) where deleted_at is null;
create index reviews_deleted on reviews (deleted_at) where deleted_at is not null;

create table review_reports (
    review_id uuid not null references reviews on delete cascade,
    user_id uuid not null,
    reason text not null,
    at timestamptz not null,
    primary key (review_id, user_id)
);
create index review_reports_of_user on review_reports (user_id);

-- The sum and the number of the published ratings of a film. A trigger counts, since no statement
-- forgets it, and a review also goes with its account.
alter table movies
    add column rating_count integer not null default 0,
    add column rating_sum bigint not null default 0;

create function count_review() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' and (old.rating, old.status, old.deleted_at)
        is not distinct from (new.rating, new.status, new.deleted_at)
    then
        return null;
    end if;
    if tg_op <> 'INSERT' and old.status = 'published' and old.deleted_at is null then
        update movies set rating_count = rating_count - 1, rating_sum = rating_sum - old.rating
        where id = old.movie_id;
    end if;
    if tg_op <> 'DELETE' and new.status = 'published' and new.deleted_at is null then
        update movies set rating_count = rating_count + 1, rating_sum = rating_sum + new.rating
        where id = new.movie_id;
    end if;
    return null;
end
$$;
create trigger reviews_counted after insert or update or delete on reviews
    for each row execute function count_review();
