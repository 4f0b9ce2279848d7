"""The ablation of the stabilizations (thesis tables 51-55), cell by cell.

A cell is one detector with one subset of the stabilizations and one seed. Its result is one file;
a cell that has its file is not computed again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from semedge.core.errors import SemedgeError
from semedge.core.images import list_images
from semedge.core.version import __version__
from semedge.inference.manifest import Quantization
from semedge.inference.record import Record
from semedge_trainer.evaluation.masks import MaskedFrame

TABLES = {"anogan": 51, "bigan": 52, "alad": 53, "ganomaly": 54, "skip-ganomaly": 55}
"""The thesis's table of each detector."""

SWITCHES = ("instance_noise", "soft_labels", "label_flipping")
FLIPPINGS = ("early", "random", "swap")
"""What the rows with LF can mean; see `semedge_trainer.components.stabilization`."""
ANOGAN_PATCHES = 300
"""Patches that AnoGAN is measured on by default; a third of them is anomalous."""
SUBSETS: dict[str, frozenset[str]] = {
    "Normal": frozenset(),
    "IN": frozenset({"instance_noise"}),
    "SL": frozenset({"soft_labels"}),
    "LF": frozenset({"label_flipping"}),
    "IN + SL": frozenset({"instance_noise", "soft_labels"}),
    "IN + LF": frozenset({"instance_noise", "label_flipping"}),
    "SL + LF": frozenset({"soft_labels", "label_flipping"}),
    "LF + SL + IN": frozenset(SWITCHES),
}
"""The rows of each table, in the thesis's words and order."""


class CellSettings(Record):
    """All that a cell's figures depend on.

    `normal` and `test` are digests of the frames; `patches` and `search_steps` are None where every
    patch is scored and no latent is searched, `quantization` where the trained networks are
    measured as they are, without an export. Where latents are searched, a third of the patches is
    anomalous.
    """

    detector: str
    subset: str
    seed: int
    schedule: str
    steps: int | None
    quantization: Quantization | None
    normal: str
    test: str
    test_frames: int
    patches: int | None
    search_steps: int | None
    crop_bottom_px: int
    label_flipping: str = FLIPPINGS[0]
    mixed_precision: bool = False
    semedge: str = __version__

    @property
    def name(self) -> str:
        """Name of the cell's file, without its ending."""
        subset = self.subset.replace(" + ", "-")
        return f"{self.detector}_{subset}_{self.seed}"

    @property
    def digest(self) -> str:
        """Tells settings apart in the names of folders."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]

    @property
    def options(self) -> dict[str, str]:
        """The detector's options."""
        return stabilizations(SUBSETS[self.subset], self.label_flipping)


class CellResult(Record):
    """What a cell gave, on patches at stride 16.

    Attributes
    ----------
    score
        The detector's default score.
    threshold, precision, recall, f1
        At the threshold of the best F1, which takes the masks to find.
    calibrated_f1
        F1 at the threshold that 1 % of the training frames' patches lie above.
    diverged
        Why the training has no result, or None where it has; the figures are then None.
    train_s, evaluate_s
        Time spent, the export among the evaluation; what went on after an interruption counts from
        there.
    """

    score: str | None = None
    patches: int = 0
    anomalous: int = 0
    auroc: float | None = None
    auroc_interval: tuple[float, float] | None = None
    average_precision: float | None = None
    threshold: float | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    calibrated_f1: float | None = None
    diverged: str | None = None
    train_s: float
    evaluate_s: float
    machine: str
    packages: dict[str, str]
    created_at: str


class Cell(Record):
    """Content of a cell's file."""

    format_version: Literal[1] = 1
    settings: CellSettings
    result: CellResult


class CellJob(Record):
    """What a process has to do: a cell, and where its frames and its run folder are."""

    settings: CellSettings
    images: str
    test_images: str
    masks: str
    run_folder: str
    threads: int


@dataclass(frozen=True)
class AblationRequest:
    """What a person asks for with `semedge ablate`: the seeds of each detector, and the rest."""

    seeds: Mapping[str, Sequence[int]]
    schedule: str
    steps: int | None
    quantization: Quantization | None
    images: str
    test_images: Path
    masks: Path
    test_frames: int | None
    patches: int | None
    anogan_patches: int
    anogan_steps: int
    crop_bottom_px: int = 0
    label_flipping: str = FLIPPINGS[0]
    mixed_precision: bool = False


def stabilizations(chosen: frozenset[str], label_flipping: str) -> dict[str, str]:
    """A detector's options with the chosen switches on and the others off."""
    options = {switch: str(switch in chosen).lower() for switch in SWITCHES[:2]}
    return options | {"label_flipping": label_flipping if "label_flipping" in chosen else "none"}


def plan_cells(
    request: AblationRequest, frames: Sequence[MaskedFrame], searched: Iterable[str]
) -> list[CellSettings]:
    """Every cell of the request, by table, subset and seed.

    `frames` are those to test on; `searched` names the detectors whose scores need the search for
    a latent.
    """
    chosen = chosen_frames(frames, request.test_frames)
    files = [path for frame in chosen for path in (frame.image_path, frame.mask_path) if path]
    normal, test = source_digest(request.images), files_digest(files)
    searching = set(searched)
    return [
        CellSettings(
            detector=detector,
            subset=subset,
            seed=seed,
            schedule=request.schedule,
            steps=request.steps,
            quantization=None if detector in searching else request.quantization,
            normal=normal,
            test=test,
            test_frames=len(chosen),
            patches=request.anogan_patches if detector in searching else request.patches,
            search_steps=request.anogan_steps if detector in searching else None,
            crop_bottom_px=request.crop_bottom_px,
            label_flipping=request.label_flipping,
            mixed_precision=request.mixed_precision,
        )
        for detector, seeds in request.seeds.items()
        for subset, seed in product(SUBSETS, seeds)
    ]


def chosen_frames(frames: Sequence[MaskedFrame], count: int | None) -> list[MaskedFrame]:
    """`count` of the frames, evenly spread; all of them where None."""
    if count is None:
        return list(frames)
    if count > len(frames):
        raise SemedgeError(
            f"There are {len(frames)} frames to test on, fewer than the {count} asked for; choose "
            "a smaller --test-frames."
        )
    return [frames[index * len(frames) // count] for index in range(count)]


def source_digest(source: str) -> str:
    """Digest of a source of frames: of its files, or of its name where it is simulated."""
    if source.startswith("sim:"):
        return source
    return files_digest(list_images(source))


def files_digest(paths: Iterable[Path]) -> str:
    """Digest of the content of files, in their order."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def cell_path(folder: Path, settings: CellSettings) -> Path:
    """Where a cell's file lies."""
    return folder / "cells" / f"{settings.name}.json"


def read_cells(folder: Path, cells: Iterable[CellSettings]) -> dict[CellSettings, CellResult]:
    """The results that a folder holds already.

    Raises `SemedgeError` where a file is of other settings or of another version.
    """
    found = {}
    for settings in cells:
        path = cell_path(folder, settings)
        if path.exists():
            found[settings] = _read_cell(path, settings)
    return found


def _read_cell(path: Path, settings: CellSettings) -> CellResult:
    try:
        cell = Cell.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise SemedgeError(
            f"{path} is not a cell of an ablation by this version of semedge; choose another "
            "folder with --out, or delete that file."
        ) from error
    there, asked = cell.settings.model_dump(), settings.model_dump()
    for name, value in asked.items():
        if there[name] != value:
            raise SemedgeError(
                f"{path} was made with {name} {there[name]!r}, and {value!r} is asked for; choose "
                "another folder with --out, or delete that file."
            )
    return cell.result
