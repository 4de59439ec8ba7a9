-- Customers look at the series that they have booked, newest first; what was called off is left out.
create index series_of_customer on series (customer_id, started_at desc, id desc) where state <> 'aborted';
