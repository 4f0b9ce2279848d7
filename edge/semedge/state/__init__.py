"""The state of a running station, and requests to change it."""
