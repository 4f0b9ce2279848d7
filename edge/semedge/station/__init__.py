"""A running station: its settings, the loops of its cameras, and their supervision."""
