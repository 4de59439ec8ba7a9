"""Gift cards: sold, looked up, used to pay bookings, given back to."""
