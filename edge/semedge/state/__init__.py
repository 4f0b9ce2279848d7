"""What a running station shows, and what may be asked of it."""
