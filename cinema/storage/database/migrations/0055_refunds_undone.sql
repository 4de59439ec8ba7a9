-- How often staff have asked for a refund again: its provider has a refund of its own for each time.
alter table refunds add column asked_again integer not null default 0;

-- Refunds that failed, or went on cards, are looked up by their payment when a day is compared.
create index refunds_of_payment on refunds (payment_id);
