"""Errors of a calibration; each message is one sentence."""

from __future__ import annotations


class CalibrationError(Exception):
    """The scores, the settings or the document cannot be used."""


class CalibrationRefused(CalibrationError):  # noqa: N818
    """There are too few independent normal scores to prove the requested rate."""
