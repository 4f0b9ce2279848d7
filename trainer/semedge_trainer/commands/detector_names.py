"""Names of detectors, known before TensorFlow is imported."""

from __future__ import annotations

from semedge.core.errors import unknown_name
from semedge.core.plugins import Plugins

OWN = (
    *("alad", "ali", "anogan", "autoencoder", "bigan", "dictionary", "ebgan", "encebgan"),
    *("f-anogan", "ganomaly", "patch-statistics", "pca", "self-similarity", "sencebgan"),
    *("sencebgan-features", "skip-ganomaly", "texture-gaussian", "texture-student"),
)
"""Names of the detectors that semedge contains."""
BEST = "texture-gaussian"
"""The detector that is trained where none is named: the best that keeps up with a line."""
RECOMMENDATION = (
    "For a line, learn the material with `semedge learn`, which needs no training; these detectors "
    f"are for comparison and research, and {BEST} is the best of them that keeps up with a line."
)


def check_name(name: str) -> str:
    """The name; `SemedgeError` where no detector has it."""
    known = [*OWN, *Plugins("semedge.detectors", "detector", own=OWN).names()]
    if name not in known:
        raise unknown_name("There is no detector", name, "choose one of", known)
    return name
