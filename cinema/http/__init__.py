"""A web framework that knows no cinema."""
