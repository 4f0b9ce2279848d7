"""The run folder: what a training writes, and what an export starts from.

::

    run.json            detector, options, schedule, seed, frames, versions; written first
    patches.npy         a sample of the training patches, for quantization and parity
    frames.npz          instead of it, some training frames, for a detector of whole frames
    checkpoints/STAGE/  the last checkpoints of each stage
    logs/STAGE.csv      losses
    tensorboard/        the same for TensorBoard
    pictures/           samples and reconstructions
    weights/            averaged weights of every network, and what was fitted; there only when the
                        training is done
    searches/           scores of batches whose latents were searched, for a detector that does so
"""

from __future__ import annotations

import dataclasses
import io
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import keras
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from semedge.core.errors import SemedgeError
from semedge.core.files import write_atomically
from semedge.core.frame import GrayImage
from semedge.core.view import ViewSettings
from semedge.inference.manifest import Intensity, Training
from semedge.inference.record import Record
from semedge.inference.scaling import Scaling
from semedge_trainer.components.blocks import Network
from semedge_trainer.detectors import make_detector
from semedge_trainer.detectors.base import Schedule, TrainableDetector
from semedge_trainer.training.devices import Policy

SAMPLE_PATCHES = 16384
FITTED = "fitted.npz"
PACKAGES = ("semedge", "tensorflow", "keras", "tf_keras", "tensorflow-model-optimization", "numpy")


class RunRecord(Record):
    """Content of `run.json`; `frame_shape` is the height of the tallest and width of the widest."""

    format_version: Literal[1] = 1
    detector: str
    options: dict[str, bool | int | float | str]
    schedule: str
    steps: dict[str, int]
    learning_rates: dict[str, float]
    batch: int
    seed: int
    scaling: Scaling
    mixed_precision: bool
    source: str
    bits: int | None = None
    crop_top_px: int = 0
    crop_bottom_px: int = 0
    crop_left_px: int = 0
    crop_right_px: int = 0
    validation_share: float = 0.0
    patience: int = 5
    frame_names: tuple[str, ...]
    frame_sha256: tuple[str, ...]
    frame_shape: tuple[int, int]
    intensity: Intensity
    packages: dict[str, str]
    created_at: str

    @property
    def view(self) -> ViewSettings:
        """How the frames were read and cropped."""
        return ViewSettings(
            bits=self.bits,
            crop_top_px=self.crop_top_px,
            crop_bottom_px=self.crop_bottom_px,
            crop_left_px=self.crop_left_px,
            crop_right_px=self.crop_right_px,
        )

    def provenance(self, thesis_section: str) -> Training:
        """What a bundle's manifest says of the training."""
        return Training(
            detector=self.detector,
            thesis_section=thesis_section,
            schedule=self.schedule,
            seed=self.seed,
            steps=self.steps,
            learning_rates=self.learning_rates,
            options=self.options,
            frame_sha256=self.frame_sha256,
            bits=self.bits,
            frames=len(self.frame_sha256),
            intensity=self.intensity,
            packages=self.packages,
            created_at=self.created_at,
        )


@dataclasses.dataclass(frozen=True)
class Run:
    """A run folder and its record."""

    folder: Path
    record: RunRecord

    @classmethod
    def create(cls, folder: Path, record: RunRecord, sample: NDArray | Sequence[NDArray]) -> Run:
        """Start a folder; one that holds a run already is refused.

        `sample` is an array of training patches, or a sequence of training frames.
        """
        if (folder / "run.json").exists():
            raise SemedgeError(
                f"{folder} holds a training already; continue it with --resume, or choose another "
                "folder with --out."
            )
        if isinstance(sample, np.ndarray):
            write_atomically(folder / "patches.npy", npy_content(sample))
        else:
            write_atomically(folder / "frames.npz", _npz(sample))
        write_atomically(folder / "run.json", record.model_dump_json(indent=1).encode())
        return cls(folder, record)

    @classmethod
    def open(cls, folder: Path) -> Run:
        """Open a folder that `create` started."""
        path = folder / "run.json"
        try:
            return cls(folder, RunRecord.model_validate_json(path.read_bytes()))
        except OSError as error:
            raise SemedgeError(
                f"{folder} is not a run folder ({path.name}: {error.strerror}); give the folder "
                "that `semedge train --out` wrote."
            ) from error
        except ValidationError as error:
            first = error.errors()[0]
            raise SemedgeError(
                f"{path} cannot be used ({'.'.join(map(str, first['loc']))}: {first['msg']}); "
                "train again with this version of semedge."
            ) from error

    @property
    def finished(self) -> bool:
        """Whether the training is done."""
        return (self.folder / "weights").is_dir()

    def detector(self) -> TrainableDetector:
        """The detector with the record's options and schedule."""
        settings = {name: str(value) for name, value in self.record.options.items()}
        detector = make_detector(self.record.detector, settings, self.record.schedule)
        schedule = Schedule(self.record.steps, self.record.learning_rates, self.record.batch)
        return type(detector)(detector.options, schedule)

    def patches(self) -> NDArray:
        """Sample of the training patches `(n, 32, 32, 1)`, pixel type of the frames."""
        patches: NDArray = np.load(self.folder / "patches.npy", allow_pickle=False)
        return patches

    def frames(self) -> tuple[GrayImage, ...]:
        """Some of the training frames, of a detector of whole frames."""
        with np.load(self.folder / "frames.npz", allow_pickle=False) as saved:
            return tuple(saved[name] for name in saved.files)

    def write_weights(
        self, networks: Mapping[str, Network], fitted: Mapping[str, NDArray] | None = None
    ) -> None:
        """Write the final weights and the fitted arrays, all or nothing."""
        temporary = Path(tempfile.mkdtemp(prefix=".weights.", dir=self.folder))
        try:
            for name, network in networks.items():
                weights = {variable.path: np.asarray(variable) for variable in network.weights}
                np.savez(temporary / f"{name}.npz", allow_pickle=False, **weights)
            if fitted:
                np.savez(temporary / FITTED, allow_pickle=False, **fitted)
            temporary.chmod(0o755)
            temporary.replace(self.folder / "weights")
        except OSError as error:
            raise SemedgeError(
                f"The weights could not be written to {self.folder} ({error}); free some space, "
                "then continue with --resume."
            ) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def fitted(self) -> dict[str, NDArray[np.float32]]:
        """What a finished training fitted beside its networks, by name; mostly nothing."""
        path = self.folder / "weights" / FITTED
        if not path.exists():
            return {}
        with np.load(path, allow_pickle=False) as saved:
            return dict(saved)

    def load(self, policy: Policy = "float32") -> tuple[TrainableDetector, dict[str, Network]]:
        """The detector and its trained networks, which compute by this policy."""
        if not self.finished:
            raise SemedgeError(
                f"The training in {self.folder} is not finished; continue it with "
                f"`semedge train --resume --out {self.folder}`."
            )
        detector = self.detector()
        keras.mixed_precision.set_global_policy(policy)
        try:
            networks = detector.build()
        finally:
            keras.mixed_precision.set_global_policy("float32")
        for name, network in networks.items():
            with np.load(self.folder / "weights" / f"{name}.npz", allow_pickle=False) as saved:
                network.set_weights([saved[variable.path] for variable in network.weights])
        return detector, networks


def package_versions(detector_package: str = "semedge") -> dict[str, str]:
    """Versions of the packages that shape a training, that of the detector among them."""
    versions = {}
    for name in dict.fromkeys((*PACKAGES, detector_package)):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def _npz(arrays: Sequence[NDArray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{f"frame{i}": array for i, array in enumerate(arrays)})
    return buffer.getvalue()


def npy_content(array: NDArray) -> bytes:
    """An array as the content of a `.npy` file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
