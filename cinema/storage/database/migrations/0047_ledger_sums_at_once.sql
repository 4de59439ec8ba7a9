-- contract: 0034
-- Nothing is taken away; the mark is for the check of `ledger.amounts`, which allows the same as before.
--
-- Each booking writes two rows of a few lines, and calling a function for each took Postgres as long as
-- all else of a row. Rows that are there met the same check, so they are not looked at again.
alter table ledger
    drop constraint ledger_sums_to_zero,
    add constraint ledger_sums_to_zero check (
        case
            when array_ndims(amounts) = 1 and array_lower(amounts, 1) = 1 and cardinality(amounts) <= 4
            then coalesce(amounts[1], 0) + coalesce(amounts[2], 0)
                + coalesce(amounts[3], 0) + coalesce(amounts[4], 0) = 0
            else ledger_sum(amounts) = 0
        end
    ) not valid;
