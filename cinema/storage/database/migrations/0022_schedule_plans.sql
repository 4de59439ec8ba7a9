-- Plans of schedules. `made` is the best that was found so far (`Made` in features/schedules), and
-- what is in it does not change once it is `done`. A plan is applied in one transaction with the
-- showtimes that it becomes; those stay when it is swept away.
create table schedule_plans (
    id uuid primary key,
    cinema_id uuid not null references cinemas,
    job_id uuid not null,
    date_from date not null,
    date_to date not null check (date_to >= date_from),
    request jsonb not null check (jsonb_typeof(request) = 'object'),
    made jsonb check (jsonb_typeof(made) = 'object'),
    progress double precision not null default 0 check (progress between 0 and 1),
    done boolean not null default false,
    created_at timestamptz not null,
    applied_at timestamptz
);
create index schedule_plans_of_cinema on schedule_plans (cinema_id, created_at);
create index schedule_plans_by_age on schedule_plans (created_at);
