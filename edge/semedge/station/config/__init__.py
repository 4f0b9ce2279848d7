"""The station file: its sections, their reference, and how it is edited."""
