"""Tickets: signed codes for booked seats, and who was let in at the door."""
