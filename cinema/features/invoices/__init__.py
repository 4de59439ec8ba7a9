"""Invoices, credit notes and cancellations of bookings."""
