"""Showtime actors: mailbox, output gate, commit lanes, timers, passivation."""
