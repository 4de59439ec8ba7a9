"""Which films a customer may like: a model of everybody's bookings, and reasons in words."""
