-- contract: 0040
-- Nothing is taken away; the mark is for the trigger on refunds, which builds before this one set off
-- too, and need not know of.
--
-- Money that goes back alone, without seats, asks for a credit note too. No event of its showtime says
-- so: it is numbered below 0, where no event is. A payment that was not wanted has no invoice.
create sequence invoices_of_refunds;

create function refund_needs_document() returns trigger language plpgsql as $$
begin
    insert into invoices_due (showtime_id, seq, booking_id, what, due_at, next_try_at)
    values (
        new.showtime_id, -nextval('invoices_of_refunds'), new.booking_id,
        jsonb_build_object(
            'seats', '[]'::jsonb, 'amount_minor', new.amount_minor, 'whole', false
        ),
        new.created_at, new.created_at
    );
    return null;
end
$$;
create trigger refunds_need_documents after insert on refunds
    for each row when (new.kind = 'goodwill') execute function refund_needs_document();
