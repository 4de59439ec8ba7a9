"""Films, cinemas, screens and their layouts."""
