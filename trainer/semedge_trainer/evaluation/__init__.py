"""How well a detector tells anomalous material from normal."""
