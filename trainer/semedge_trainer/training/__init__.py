"""From normal frames to a run folder."""
