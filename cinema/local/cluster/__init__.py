"""A cluster on one machine: a supervisor and its nodes, one process each."""
