"""Deposits of groups: a part that is paid at the counter long before the rest."""
