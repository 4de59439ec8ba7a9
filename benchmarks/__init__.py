"""What cinema does in a second, measured beside servers that do less."""
