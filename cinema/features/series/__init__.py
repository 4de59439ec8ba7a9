"""Series: seats of several showtimes that are booked together, all or none."""
