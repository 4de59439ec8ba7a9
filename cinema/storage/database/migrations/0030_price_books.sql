-- contract: 0018
-- Nothing is taken away; the mark is for the triggers on cinemas, which builds before this one set off
-- too, and need not know of.
--
-- What the prices of a cinema follow from (domain/pricing/book.py): settings that managers write as a
-- whole, and rules with rows of their own. Each change makes the next version of the whole book in the
-- same transaction, whoever makes it. Versions never change: quotes of holds rest on them. A book does
-- not refer to its cinema by a foreign key: checking that would lock the cinema behind the book, and
-- who changes the cinema locks them the other way round.
create table price_books (
    cinema_id uuid primary key,
    version bigint not null default 0,
    settings jsonb not null check (jsonb_typeof(settings) = 'object') default jsonb_build_object(
        'category_factors', jsonb_build_object('regular', 10000, 'premium', 12500, 'vip', 16000),
        'format_surcharges', jsonb_build_object(),
        'ticket_types', jsonb_build_array(jsonb_build_object(
            'code', 'adult', 'name', 'Adult', 'proof', '', 'minimum', 1, 'maximum', 100,
            'needs_paying', false, 'free', false,
            'channels', jsonb_build_array('online', 'counter')
        )),
        'group_discounts', jsonb_build_array(),
        'fees', jsonb_build_array(),
        'floor', 0, 'ceiling', null, 'rounding_step', 1, 'ticket_tax', ''
    ),
    settings_version bigint not null default 1,
    updated_at timestamptz,
    updated_by uuid
);

create table price_rules (
    id uuid primary key,
    cinema_id uuid not null references price_books,
    rule jsonb not null check (jsonb_typeof(rule) = 'object'),
    version bigint not null default 1,
    created_at timestamptz not null,
    created_by uuid,
    updated_at timestamptz,
    updated_by uuid,
    deleted_at timestamptz
);
create index price_rules_of_cinema on price_rules (cinema_id, id) where deleted_at is null;

create table price_book_versions (
    cinema_id uuid not null references price_books,
    version bigint not null,
    book jsonb not null,
    created_at timestamptz not null default now(),
    primary key (cinema_id, version)
);

create function make_price_book(of_cinema uuid) returns void language plpgsql as $$
declare
    number bigint;
begin
    -- Whoever changes the same book at the same time waits here. The statement after it has a
    -- snapshot of its own, and so contains what they have committed.
    update price_books set version = version + 1 where cinema_id = of_cinema
        returning version into number;
    if number is null then
        return;
    end if;
    insert into price_book_versions (cinema_id, version, book)
    select of_cinema, number, jsonb_build_object(
        'version', number, 'currency', cinema.currency, 'time_zone', cinema.time_zone,
        'tax_rates', cinema.tax_rates, 'settings', head.settings,
        'rules', coalesce(
            (
                select jsonb_agg(one.rule || jsonb_build_object('id', one.id) order by one.id)
                from price_rules one
                where one.cinema_id = of_cinema and one.deleted_at is null
            ),
            '[]'
        )
    )
    from price_books head join cinemas cinema on cinema.id = head.cinema_id
    where head.cinema_id = of_cinema;
end
$$;

create function price_book_changed() returns trigger language plpgsql as $$
begin
    perform make_price_book(new.cinema_id);
    return null;
end
$$;
create trigger price_rules_changed after insert or update on price_rules
    for each row execute function price_book_changed();
create trigger price_settings_changed after insert or update of settings on price_books
    for each row execute function price_book_changed();

create function price_book_of_cinema_changed() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into price_books (cinema_id) values (new.id);
    else
        perform make_price_book(new.id);
    end if;
    return null;
end
$$;
create trigger cinemas_get_price_books after insert on cinemas
    for each row execute function price_book_of_cinema_changed();
create trigger cinemas_change_price_books after update on cinemas
    for each row when (
        old.tax_rates is distinct from new.tax_rates or old.currency is distinct from new.currency
        or old.time_zone is distinct from new.time_zone
    )
    execute function price_book_of_cinema_changed();

insert into price_books (cinema_id) select id from cinemas;

create function refuse_price_book_change() returns trigger language plpgsql as $$
begin
    raise exception 'versions of price books never change' using errcode = 'insufficient_privilege';
end
$$;
create trigger price_book_versions_stay before update or delete on price_book_versions
    for each row execute function refuse_price_book_change();
create trigger price_book_versions_are_never_emptied before truncate on price_book_versions
    for each statement execute function refuse_price_book_change();

-- Promo codes. `code_key` is the code in upper case; what Postgres decides by has columns, the rest is
-- in `terms`. A code that was deleted can be given again.
create table promo_codes (
    id uuid primary key,
    code text not null check (length(code) between 3 and 32),
    code_key text collate "C" not null,
    cinema_ids uuid[] not null default '{}',
    terms jsonb not null check (jsonb_typeof(terms) = 'object'),
    max_uses integer check (max_uses > 0),
    uses integer not null default 0 check (uses >= 0),
    version bigint not null default 1,
    created_at timestamptz not null,
    created_by uuid,
    updated_at timestamptz,
    updated_by uuid,
    deleted_at timestamptz,
    constraint promo_codes_max_uses check (uses <= max_uses)
);
create unique index promo_codes_by_code on promo_codes (code_key) where deleted_at is null;
create index promo_codes_of_cinemas on promo_codes using gin (cinema_ids) where deleted_at is null;
