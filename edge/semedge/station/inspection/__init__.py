"""One camera's loop: from a frame to events."""
