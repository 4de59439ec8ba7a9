"""Reports: what cinemas tell the distributors of films."""
