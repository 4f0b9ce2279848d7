"""semedge: anomaly detection for microscope cameras, learnt from normal frames only."""

__version__ = "0.1.0"
