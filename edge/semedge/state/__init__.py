"""What a running station shows, and what may be changed there."""
