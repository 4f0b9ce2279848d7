"""Sinks, which receive events: one module for each kind, and the delivery to them."""
