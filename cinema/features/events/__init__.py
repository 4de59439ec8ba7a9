"""What happens at showtimes and with bookings, for partners and analysts, in one order."""
