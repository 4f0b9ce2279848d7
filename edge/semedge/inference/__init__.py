"""Scoring of frames by a detector bundle."""
