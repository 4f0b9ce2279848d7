"""From a run folder to a bundle, and whether it gives the same scores."""
