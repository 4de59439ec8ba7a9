"""Loyalty points: earned by paying, used to pay bookings, taken back, expiring."""
