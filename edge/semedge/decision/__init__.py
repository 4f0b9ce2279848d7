"""Decisions: defects, the health of cameras, and whether a calibration still holds."""
