"""What the house knows of somebody: handed over to them as one file."""
