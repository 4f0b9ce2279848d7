"""Thousands of image files, scored on this machine's cores or on a cluster."""
