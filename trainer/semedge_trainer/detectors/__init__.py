"""The detectors by name: semedge's own, and those that other packages bring.

A new one of semedge's own is a file in this folder and a line in `DETECTORS`. A package brings one
by an entry point of the group `semedge.detectors`; docs/how-to/new-detector.md shows how.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from semedge.core.errors import SemedgeError, unknown_name
from semedge.core.plugins import Plugins
from semedge_trainer.detectors.alad import Alad
from semedge_trainer.detectors.ali import Ali
from semedge_trainer.detectors.anogan import Anogan
from semedge_trainer.detectors.autoencoder import Autoencoder
from semedge_trainer.detectors.base import FittedDetector, TrainableDetector, TrainedDetector
from semedge_trainer.detectors.bigan import Bigan
from semedge_trainer.detectors.dictionary import Dictionary
from semedge_trainer.detectors.ebgan import Ebgan
from semedge_trainer.detectors.encebgan import Encebgan
from semedge_trainer.detectors.fanogan import Fanogan
from semedge_trainer.detectors.ganomaly import Ganomaly
from semedge_trainer.detectors.options import parse_options
from semedge_trainer.detectors.patch_statistics import PatchStatistics
from semedge_trainer.detectors.pca import Pca
from semedge_trainer.detectors.self_similarity import SelfSimilarity
from semedge_trainer.detectors.sencebgan import Sencebgan
from semedge_trainer.detectors.sencebgan_features import SencebganFeatures
from semedge_trainer.detectors.skip_ganomaly import SkipGanomaly
from semedge_trainer.detectors.texture_gaussian import TextureGaussian
from semedge_trainer.detectors.texture_student import TextureStudent
from semedge_trainer.detectors.whole_frame import FrameDetector

DETECTORS: dict[str, type[TrainableDetector]] = {
    detector.name: detector
    for detector in (
        Alad,
        Ali,
        Anogan,
        Bigan,
        Autoencoder,
        Dictionary,
        Ebgan,
        Encebgan,
        Fanogan,
        Ganomaly,
        PatchStatistics,
        Pca,
        SelfSimilarity,
        Sencebgan,
        SencebganFeatures,
        SkipGanomaly,
        TextureGaussian,
        TextureStudent,
    )
}

LEARNING = (TrainedDetector, FittedDetector, FrameDetector)
"""The ways to learn, one of which every detector has."""

PLUGINS = Plugins("semedge.detectors", "detector", own=DETECTORS)
"""Detectors that other packages bring."""


def known_names() -> list[str]:
    """Names of all detectors, semedge's own first."""
    return [*DETECTORS, *PLUGINS.names()]


def detector_class(name: str) -> type[TrainableDetector]:
    """The detector `name`; what a package brings is imported only here.

    Raises `SemedgeError` where there is no such detector, or its package cannot give it.
    """
    if name in DETECTORS:
        return DETECTORS[name]
    if name not in PLUGINS.names():
        raise unknown_name("There is no detector", name, "there are", sorted(known_names()))
    loaded: type[TrainableDetector] = PLUGINS.load(name, TrainableDetector)
    if not issubclass(loaded, LEARNING):
        raise SemedgeError(
            f"The detector {name} of the package {package_of(name)} would not be trained; let it "
            f"derive from one of {', '.join(each.__name__ for each in LEARNING)}."
        )
    if loaded.name != name:
        raise SemedgeError(
            f"The detector {loaded.name} of the package {package_of(name)} has the entry point "
            f"{name}; give both the same name."
        )
    return loaded


def package_of(name: str) -> str:
    """Name of the distribution that the detector comes with."""
    return "semedge" if name in DETECTORS else PLUGINS.package_of(name)


def make_detector(
    name: str, settings: Mapping[str, str], schedule: str, steps: int | None = None
) -> TrainableDetector:
    """The detector `name` with its options given as texts, on a schedule.

    `steps` shortens the schedule to that many steps over all stages.
    """
    chosen = detector_class(name)
    if schedule not in chosen.schedules:
        raise unknown_name(f"{name} has no schedule", schedule, "it has", chosen.schedules)
    _check_options(chosen, settings)
    options = parse_options(chosen.options_class, settings)
    return chosen(options, chosen.schedules[schedule].shortened(steps))


def _check_options(chosen: type[TrainableDetector], settings: Mapping[str, str]) -> None:
    """Refuse the first option that only other detectors of semedge have; name them."""
    for name, value in settings.items():
        having = [other.name for other in DETECTORS.values() if name in _option_names(other)]
        if having and name not in _option_names(chosen):
            raise SemedgeError(
                f"{chosen.name} has no option {name}. Received: {name}={value}; leave it out, or "
                f"choose a detector that has it: {', '.join(having)}."
            )


def _option_names(detector: type[TrainableDetector]) -> set[str]:
    return {field.name for field in dataclasses.fields(detector.options_class)}
