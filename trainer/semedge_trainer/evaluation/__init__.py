"""How well a detector separates anomalous material from normal."""
