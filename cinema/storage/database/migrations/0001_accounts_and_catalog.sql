-- Accounts, the catalogue, and the records that make their requests idempotent.
-- Folded columns (`email_key`, `sort_title`, ...) are filled by the server: the extensions that
-- would fold inside Postgres are not everywhere. They compare bytewise, hence COLLATE "C".

create table users (
    id uuid primary key,
    email text not null check (length(email) between 3 and 254),
    email_key text collate "C" not null constraint users_email_taken unique,
    password_hash text not null,
    first_name text not null default '' check (length(first_name) <= 100),
    last_name text not null default '' check (length(last_name) <= 100),
    role text not null default 'customer'
        check (role in ('customer', 'staff', 'manager', 'admin')),
    email_verified boolean not null default false,
    created_at timestamptz not null
);

create table sessions (
    id uuid primary key,
    user_id uuid not null references users on delete cascade,
    created_at timestamptz not null,
    expires_at timestamptz not null check (expires_at > created_at),
    revoked_at timestamptz
);
create index sessions_of_user on sessions (user_id);
create index sessions_by_expiry on sessions (expires_at);
create index sessions_revoked on sessions (revoked_at) where revoked_at is not null;

create table movies (
    id uuid primary key,
    title text not null check (length(title) between 1 and 300),
    description text not null default '' check (length(description) <= 5000),
    genres text[] not null default '{}' check (cardinality(genres) <= 16),
    runtime_minutes integer not null check (runtime_minutes between 1 and 1000),
    release_date date,
    age_rating text check (length(age_rating) between 1 and 16),
    languages text[] not null default '{}' check (cardinality(languages) <= 32),
    poster_url text check (length(poster_url) <= 2000),
    trailer_url text check (length(trailer_url) <= 2000),
    sort_title text collate "C" not null,
    genre_keys text[] collate "C" not null,
    created_at timestamptz not null
);
create index movies_by_title on movies (sort_title, id);
create index movies_by_genre on movies using gin (genre_keys);

create table cinemas (
    id uuid primary key,
    name text not null check (length(name) between 1 and 200),
    address text not null default '' check (length(address) <= 300),
    city text not null check (length(city) between 1 and 100),
    country text not null check (country ~ '^[A-Z]{2}$'),
    time_zone text not null check (length(time_zone) between 1 and 64),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    created_at timestamptz not null
);

create table cinema_managers (
    user_id uuid not null references users on delete cascade,
    cinema_id uuid not null references cinemas on delete cascade,
    primary key (user_id, cinema_id)
);
create index managers_of_cinema on cinema_managers (cinema_id);

-- `screen_no` stands for the screen in the exclusion constraint on showtimes: a range of
-- integers needs no extension under GiST, a uuid does.
create table screens (
    id uuid primary key,
    screen_no integer generated always as identity,
    cinema_id uuid not null references cinemas,
    name text not null check (length(name) between 1 and 100),
    layout_version integer not null check (layout_version >= 1),
    seat_count integer not null check (seat_count >= 1),
    rules jsonb not null default '{}' check (jsonb_typeof(rules) = 'object'),
    created_at timestamptz not null,
    constraint screens_name_taken unique (cinema_id, name),
    constraint screens_identity unique (id, cinema_id, screen_no)
);
create index screens_of_cinema on screens (cinema_id, id);

create table screen_layouts (
    screen_id uuid not null references screens on delete cascade,
    version integer not null check (version >= 1),
    layout jsonb not null check (jsonb_typeof(layout) = 'object'),
    seat_count integer not null check (seat_count >= 1),
    created_at timestamptz not null,
    primary key (screen_id, version)
);
alter table screens add constraint screens_current_layout
    foreign key (id, layout_version) references screen_layouts (screen_id, version)
    deferrable initially deferred;

-- `ends_at` is when the film is over, `clear_at` when the screen is clean for the next one;
-- `local_date` is the day of the start on the calendar of the cinema.
create table showtimes (
    id uuid primary key,
    movie_id uuid not null constraint showtimes_movie references movies,
    cinema_id uuid not null,
    screen_id uuid not null,
    screen_no integer not null,
    layout_version integer not null,
    starts_at timestamptz not null,
    ends_at timestamptz not null check (ends_at > starts_at),
    clear_at timestamptz not null check (clear_at >= ends_at),
    local_date date not null,
    base_price_minor bigint not null check (base_price_minor between 0 and 100000000),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    price_overrides jsonb not null default '{}'
        check (jsonb_typeof(price_overrides) = 'object'),
    format text not null check (length(format) between 1 and 16),
    language text not null check (length(language) between 1 and 35),
    status text not null default 'scheduled' check (status in ('scheduled', 'cancelled')),
    sales_opens_at timestamptz not null,
    sales_closes_at timestamptz not null,
    sales_paused boolean not null default false,
    rules jsonb not null default '{}' check (jsonb_typeof(rules) = 'object'),
    created_at timestamptz not null,
    screen_r int4range not null
        generated always as (int4range(screen_no, screen_no, '[]')) stored,
    during tstzrange not null
        generated always as (tstzrange(starts_at, clear_at, '[)')) stored,
    constraint showtimes_sales_window check (sales_opens_at < sales_closes_at),
    constraint showtimes_screen foreign key (screen_id, cinema_id, screen_no)
        references screens (id, cinema_id, screen_no),
    constraint showtimes_layout foreign key (screen_id, layout_version)
        references screen_layouts (screen_id, version),
    constraint showtimes_screen_occupied
        exclude using gist (screen_r with &&, during with &&) where (status <> 'cancelled')
);
create index showtimes_by_start on showtimes (starts_at, id);
create index showtimes_of_cinema on showtimes (cinema_id, starts_at, id);
create index showtimes_of_movie on showtimes (movie_id, starts_at, id);
create index showtimes_of_screen on showtimes (screen_id, starts_at, id);

-- A claim, its effect and its answer are one transaction, so `response` is null for nobody else.
create table idempotent_requests (
    key_digest bytea primary key check (octet_length(key_digest) = 16),
    fingerprint bytea not null check (octet_length(fingerprint) = 8),
    response bytea,
    expires_at timestamptz not null
);
create index idempotent_requests_by_expiry on idempotent_requests (expires_at);
