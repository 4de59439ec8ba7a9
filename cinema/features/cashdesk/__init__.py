"""Cash in the drawers of a cinema: sessions, movements, and the close of a business day."""
