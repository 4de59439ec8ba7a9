"""Everything that is known about an account, as one file for its owner."""
