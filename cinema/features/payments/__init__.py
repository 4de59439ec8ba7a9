"""How bookings are paid."""
