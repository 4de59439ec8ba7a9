"""`cinema admin`: a client of the control endpoint, for people and for scripts."""
