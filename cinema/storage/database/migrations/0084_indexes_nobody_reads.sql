-- contract: 0061
-- Indexes that each booking writes, and no statement needs: builds from 0061 on read messages that are
-- due by the indexes of their two queues, and a booking by its code by the unique one that the
-- constraint `bookings_code` has on the same column.
drop index bookings_by_code;
drop index messages_due;
