"""Reviews: what people say of films that they have seen, and what is shown of it."""
