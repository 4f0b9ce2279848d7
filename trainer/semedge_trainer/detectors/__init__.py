"""The detectors by name. A new one is a file in this folder and a line in this table."""

from __future__ import annotations

from collections.abc import Mapping

from semedge.errors import unknown_name
from semedge_trainer.detectors.alad import Alad
from semedge_trainer.detectors.ali import Ali
from semedge_trainer.detectors.anogan import Anogan
from semedge_trainer.detectors.autoencoder import Autoencoder
from semedge_trainer.detectors.base import TrainableDetector, parse_options
from semedge_trainer.detectors.bigan import Bigan
from semedge_trainer.detectors.dictionary import Dictionary
from semedge_trainer.detectors.ebgan import Ebgan
from semedge_trainer.detectors.encebgan import Encebgan
from semedge_trainer.detectors.fanogan import Fanogan
from semedge_trainer.detectors.ganomaly import Ganomaly
from semedge_trainer.detectors.patch_statistics import PatchStatistics
from semedge_trainer.detectors.pca import Pca
from semedge_trainer.detectors.sencebgan import Sencebgan
from semedge_trainer.detectors.skip_ganomaly import SkipGanomaly
from semedge_trainer.detectors.texture_gaussian import TextureGaussian

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
        Sencebgan,
        SkipGanomaly,
        TextureGaussian,
    )
}


def make_detector(
    name: str, settings: Mapping[str, str], schedule: str, steps: int | None = None
) -> TrainableDetector:
    """The detector `name` with its options given as texts, on a schedule.

    `steps` shortens the schedule to that many steps over all stages.
    """
    if name not in DETECTORS:
        raise unknown_name("There is no detector", name, "there are", sorted(DETECTORS))
    detector_class = DETECTORS[name]
    if schedule not in detector_class.schedules:
        raise unknown_name(f"{name} has no schedule", schedule, "it has", detector_class.schedules)
    options = parse_options(detector_class.options_class, settings)
    return detector_class(options, detector_class.schedules[schedule].limited(steps))
