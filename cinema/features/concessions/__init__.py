"""Products that are sold with tickets, and handed out at the counter."""
