"""The control endpoint, health, and metrics of the machine."""
