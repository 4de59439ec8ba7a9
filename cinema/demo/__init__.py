"""Demo data: cinemas, screens, films and showtimes for a first start."""
