-- What the last check of the documents found, so that all nodes tell the same, and one of them checks.
create table invoice_checks (
    id boolean primary key default true check (id),
    checked_at timestamptz not null,
    gaps integer not null,
    missing integer not null
);
