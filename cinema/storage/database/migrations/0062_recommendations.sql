-- What customers want to be recommended (docs/adr/073-recommendations.md). Of one who has opted out nothing
-- else is looked at.
create table recommendation_preferences (
    user_id uuid primary key references users,
    genres text[] not null default '{}' check (cardinality(genres) <= 16),
    cinema_ids uuid[] not null default '{}' check (cardinality(cinema_ids) <= 20),
    opted_out boolean not null default false,
    updated_at timestamptz not null
);

-- What a customer last said about a film.
create table recommendation_feedback (
    user_id uuid not null references users,
    movie_id uuid not null references movies,
    kind text not null check (kind in ('more', 'less', 'hide', 'seen')),
    exposure_id uuid,
    at timestamptz not null,
    primary key (user_id, movie_id)
);

-- Films that were recommended to an account or a guest. `place` counts from 1; `propensity` is the chance that
-- the film had of being shown. Rows are deleted after 180 days.
create table recommendation_exposures (
    id uuid primary key,
    user_id uuid not null,
    movie_id uuid not null,
    place smallint not null,
    propensity real not null check (propensity > 0 and propensity <= 1),
    explored boolean not null,
    reason text not null,
    model_version bigint not null,
    shown_at timestamptz not null
);
create index recommendation_exposures_of_user on recommendation_exposures (user_id);
create index recommendation_exposures_by_time on recommendation_exposures (shown_at);

-- What an account or a guest did about a film on a page. Rows are deleted after 180 days.
create table recommendation_events (
    id uuid primary key,
    user_id uuid not null,
    movie_id uuid not null references movies,
    kind text not null check (kind in ('impression', 'click', 'seat_map', 'checkout_start')),
    exposure_id uuid,
    at timestamptz not null
);
create index recommendation_events_of_user on recommendation_events (user_id, at);
create index recommendation_events_by_time on recommendation_events (at);

-- The model: msgpack, sums over all customers. One node builds it at a time, until `claimed_until`.
create table recommendation_model (
    version bigint not null default 0,
    built_at timestamptz,
    content bytea,
    claimed_until timestamptz,
    only_one boolean primary key default true check (only_one)
);
insert into recommendation_model default values;
