-- How a cinema is run: set by its managers, and by admins what law and accounting look at. Times are
-- "HH:MM" on the cinema's clock; tax rates are hundredths of a percent by name.
alter table cinemas
    add column ads_minutes integer not null default 20,
    add column cleaning_minutes integer not null default 15,
    add column ticket_early_minutes integer not null default 30,
    add column ticket_grace_minutes integer not null default 15,
    add column business_day_starts_at text not null default '06:00',
    add column rating_system text,
    add column tax_number text not null default '',
    add column invoice_prefix text not null default '',
    add column tax_rates jsonb not null default '{}',
    add column refund_policy jsonb not null
        default jsonb_build_array(
            jsonb_build_object('hours_before', 2, 'percent', 100, 'fees', false)
        ),
    add column opening_hours jsonb not null default 'null',
    add column opening_exceptions jsonb not null default '[]';
