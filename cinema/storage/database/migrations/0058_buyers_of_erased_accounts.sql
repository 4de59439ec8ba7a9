-- When an account is erased, its documents stay, but for who bought. Nothing else of them may change,
-- and only to this. What is not the buyer keeps its order and its spelling.
create function without_buyer(content text) returns text language sql immutable strict as $$
    select '{' || string_agg(
        to_json(field.key)::text || ':' || case
            when field.key = 'buyer' then '{"name":"","address":"","tax_number":""}'
            else field.value::text
        end, ',' order by field.place
    ) || '}'
    from json_each(content::json) with ordinality as field (key, value, place)
$$;

create or replace function refuse_invoice_change() returns trigger language plpgsql as $$
begin
    if tg_table_name = 'invoices' and tg_op = 'UPDATE' then
        if new.content = without_buyer(old.content)
            and to_jsonb(new) - 'content' = to_jsonb(old) - 'content' then
            return new;
        end if;
    end if;
    raise exception 'documents never change' using errcode = 'insufficient_privilege';
end
$$;

-- Of accounts that were erased before. Nothing else changes these rows, so nobody waits for them.
update invoices set content = without_buyer(content)
where booking_id in (
    select b.id from bookings b
    left join guests g on g.id = b.user_id
    join users u on u.id in (b.user_id, g.claimed_by)
    where u.deleted_at is not null
) and coalesce(content::json -> 'buyer' ->> 'tax_number', '') = '';
