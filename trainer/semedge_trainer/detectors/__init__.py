"""The detectors by name: semedge's own, and those that other packages bring.

A new one of semedge's own is a file in this folder and a line in `DETECTORS`. A package brings one
by an entry point of the group `semedge.detectors`; docs/new-detector.md shows how.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points

from semedge.core.errors import SemedgeError, unknown_name
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
"""What a detector that a package brings must derive from, or nothing would train it."""
ENTRY_POINTS = "semedge.detectors"


def known_names() -> list[str]:
    """Names of all detectors, semedge's own first."""
    return [*DETECTORS, *_entry_points()]


def detector_class(name: str) -> type[TrainableDetector]:
    """The detector `name`; what a package brings is imported only here.

    Raises `SemedgeError` where there is no such detector, or its package cannot give it.
    """
    if name in DETECTORS:
        return DETECTORS[name]
    brought = _entry_points()
    if name not in brought:
        raise unknown_name("There is no detector", name, "there are", sorted(known_names()))
    return _loaded(brought[name])


def package_of(name: str) -> str:
    """Name of the distribution that the detector comes with."""
    return "semedge" if name in DETECTORS else _distribution(_entry_points()[name])


def make_detector(
    name: str, settings: Mapping[str, str], schedule: str, steps: int | None = None
) -> TrainableDetector:
    """The detector `name` with its options given as texts, on a schedule.

    `steps` shortens the schedule to that many steps over all stages.
    """
    chosen = detector_class(name)
    if schedule not in chosen.schedules:
        raise unknown_name(f"{name} has no schedule", schedule, "it has", chosen.schedules)
    options = parse_options(chosen.options_class, settings)
    return chosen(options, chosen.schedules[schedule].shortened(steps))


def _entry_points() -> dict[str, EntryPoint]:
    """What installed packages bring, by name; a name that is taken is refused."""
    found: dict[str, EntryPoint] = {}
    for entry_point in entry_points(group=ENTRY_POINTS):
        name = entry_point.name
        if name in DETECTORS or name in found:
            other = _distribution(found[name]) if name in found else "semedge"
            raise SemedgeError(
                f"The package {_distribution(entry_point)} brings a detector {name}, as {other} "
                "does; rename it or uninstall the package."
            )
        found[name] = entry_point
    return found


def _loaded(entry_point: EntryPoint) -> type[TrainableDetector]:
    package = _distribution(entry_point)
    try:
        loaded = entry_point.load()
    except Exception as error:
        raise SemedgeError(
            f"The detector {entry_point.name} of the package {package} cannot be imported "
            f"({type(error).__name__}: {error}); mend or uninstall the package."
        ) from error
    if not (isinstance(loaded, type) and issubclass(loaded, LEARNING)):
        raise SemedgeError(
            f"{entry_point.value} of the package {package} is none of "
            f"{', '.join(each.__name__ for each in LEARNING)}; let its entry point "
            f"{entry_point.name} name a subclass of one."
        )
    if loaded.name != entry_point.name:
        raise SemedgeError(
            f"The detector {loaded.name} of the package {package} has the entry point "
            f"{entry_point.name}; give both the same name."
        )
    return loaded


def _distribution(entry_point: EntryPoint) -> str:
    return entry_point.dist.name if entry_point.dist is not None else entry_point.module
