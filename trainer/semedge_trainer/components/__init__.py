"""What detectors share: layers, losses, densities and pretrained features."""
