"""Which film runs when on which screen."""
