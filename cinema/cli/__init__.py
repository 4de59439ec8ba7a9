"""What the larger commands do, each imported only when it is given."""
