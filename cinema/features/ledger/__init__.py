"""Where money is, how it comes in, and how it goes back: the ledger, attempts to pay, methods."""
