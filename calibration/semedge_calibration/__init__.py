"""Thresholds from normal scores, with a proved guarantee; needs NumPy only."""

from semedge_calibration.appearance import Appearance
from semedge_calibration.binomial import binomial_tail
from semedge_calibration.calibration import Calibration, ScoredGrid
from semedge_calibration.errors import CalibrationError, CalibrationRefused
from semedge_calibration.groups import correlation_warning, group_maxima, lag_1_correlation
from semedge_calibration.order_statistics import (
    METHODS,
    Method,
    best_provable_rate,
    frames_needed,
    p_value,
)
from semedge_calibration.threshold import ThresholdResult, calibrate_threshold, percent

__all__ = [
    "METHODS",
    "Appearance",
    "Calibration",
    "CalibrationError",
    "CalibrationRefused",
    "Method",
    "ScoredGrid",
    "ThresholdResult",
    "best_provable_rate",
    "binomial_tail",
    "calibrate_threshold",
    "correlation_warning",
    "frames_needed",
    "group_maxima",
    "lag_1_correlation",
    "p_value",
    "percent",
]
