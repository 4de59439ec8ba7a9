"""What was sold, and its cancellation."""
