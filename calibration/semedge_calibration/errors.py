"""What goes wrong in a calibration, in one sentence each."""

from __future__ import annotations


class CalibrationError(Exception):
    """The scores, the settings or the document cannot be used."""


class CalibrationRefused(CalibrationError):  # noqa: N818
    """There are too few independent normal scores for the promise that was asked for."""
