"""semedge: anomaly detection for microscope cameras, learnt from normal frames only."""
