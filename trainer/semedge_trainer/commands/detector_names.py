"""Names of detectors, known before TensorFlow is imported."""

from __future__ import annotations

from semedge.core.errors import SemedgeError, unknown_name
from semedge.core.plugins import Plugins

OWN = (
    *("alad", "ali", "anogan", "autoencoder", "bigan", "dictionary", "ebgan", "encebgan"),
    *("f-anogan", "ganomaly", "patch-statistics", "pca", "self-similarity", "sencebgan"),
    *("sencebgan-features", "skip-ganomaly", "texture-gaussian", "texture-student"),
)
"""Names of the detectors that semedge contains."""
RECOMMENDATION = (
    "For a line, learn the material with `semedge learn`, which needs no training; these detectors "
    "are for comparison and research."
)


def check_name(name: str | None) -> str:
    """The name; `SemedgeError` where none is given or no detector has it."""
    if name is None:
        raise SemedgeError(
            "A training needs the name of a detector; choose one that `semedge detectors` lists. "
            "For a line, learn the material with `semedge learn` instead, which needs no training."
        )
    known = [*OWN, *Plugins("semedge.detectors", "detector", own=OWN).names()]
    if name not in known:
        raise unknown_name("There is no detector", name, "choose one of", known)
    return name
