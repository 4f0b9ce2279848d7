"""semedge's trainer: the detectors of the thesis, their training, quantization and evaluation."""
