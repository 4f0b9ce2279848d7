"""A running station: its settings, its cameras' loops, and what supervises them."""
