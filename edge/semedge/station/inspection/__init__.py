"""The loop of one camera: from a frame to events."""
