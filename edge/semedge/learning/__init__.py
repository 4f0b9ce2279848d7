"""From normal frames to a bundle, with NumPy alone."""
