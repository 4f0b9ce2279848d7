"""The steps that every export takes: plan, convert, compare, write."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from semedge.core.errors import SemedgeError
from semedge.inference.bundle import array_content, members_of, write_bundle
from semedge.inference.manifest import (
    Manifest,
    Node,
    Parity,
    Quantization,
    ScoreChoice,
    format_version_of,
)
from semedge.inference.network_input import FrameInput, PatchInput
from semedge.inference.scores import tensors_needed
from semedge_trainer.detectors.base import FineTunable, Networks, ScorePlan, TrainableDetector
from semedge_trainer.training.run import Run

Array = NDArray[np.float32]
AnyDetector = TypeVar("AnyDetector", bound=TrainableDetector)


@dataclass(frozen=True)
class ExportRequest:
    """What a person asks for with `semedge export`.

    Attributes
    ----------
    quantization
        What the graphs compute in.
    score_name
        The score that frames are judged by; the detector's default where None.
    only_score
        Leave out the graphs and arrays that this score does not need.
    stride_px
        Distance between patches that the bundle asks for; a whole patch where None.
    tile_shape
        Height and width of the tiles of a whole-frame detector, in the network's pixels; what
        suits the training frames best where None.
    """

    quantization: Quantization
    score_name: str | None = None
    only_score: bool = False
    stride_px: int | None = None
    tile_shape: tuple[int, int] | None = None


@dataclass(frozen=True)
class Conversion:
    """What became of a detector's networks and arrays.

    Attributes
    ----------
    input
        What the graphs expect of a frame.
    stride_px
        Distance between patches, or between cells of a whole frame.
    nodes
        Which graph turns which tensors into which.
    graphs
        TFLite by name.
    arrays
        What the scores need beside the graphs, by name.
    """

    input: PatchInput | FrameInput
    stride_px: int
    nodes: tuple[Node, ...]
    graphs: Mapping[str, bytes]
    arrays: Mapping[str, Array]

    @property
    def members(self) -> dict[str, bytes]:
        """The files of the bundle but its manifest, by name."""
        return {
            **{f"{name}.tflite": content for name, content in self.graphs.items()},
            **{f"{name}.npy": array_content(array) for name, array in self.arrays.items()},
        }


class Exporter(ABC, Generic[AnyDetector]):
    """An export of a finished run; the two kinds of detectors differ in how they are converted.

    Parameters
    ----------
    run, detector, networks
        What was trained.
    request
        What is asked for; a bundle without graphs is `float32` whatever that is.
    """

    def __init__(
        self, run: Run, detector: AnyDetector, networks: Networks, request: ExportRequest
    ) -> None:
        self.run = run
        self.detector = detector
        self.networks = networks
        self.request = request
        self.plan: ScorePlan = detector.chosen_plan(request.score_name, only=request.only_score)
        self.quantization: Quantization = request.quantization if self.plan.graphs else "float32"
        if self.quantization == "qat" and not isinstance(detector, FineTunable):
            raise SemedgeError(
                f"{detector.name} has no loss to fine-tune with. Received: --quantization qat; "
                "choose int8, float16 or float32."
            )
        self.needed = set().union(*map(tensors_needed, self.plan.scores.values()))
        self.fitted = run.fitted()

    @abstractmethod
    def convert(self) -> Conversion:
        """Turn the networks into graphs."""

    @abstractmethod
    def compare(self, conversion: Conversion, manifest: Manifest) -> dict[str, Parity]:
        """How every score by the graphs compares with that by the trained networks."""

    def only_needed(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """The arrays that the plan's scores need."""
        return {name: array for name, array in arrays.items() if name in self.needed}

    def write(self, path: Path) -> Manifest:
        """Convert, compare, and write the bundle."""
        conversion = self.convert()
        members = conversion.members
        manifest = Manifest(
            format_version=format_version_of(conversion.input, conversion.nodes),
            detector=self.detector.name,
            input=conversion.input,
            stride_px=conversion.stride_px,
            quantization=self.quantization,
            nodes=conversion.nodes,
            score=ScoreChoice(
                name=self.plan.default, weights=dict(self.plan.scores[self.plan.default])
            ),
            scores={name: dict(weights) for name, weights in self.plan.scores.items()},
            members=members_of(members),
            training=self.run.record.provenance(self.detector.thesis_section),
            parity={},
        )
        parity = self.compare(conversion, manifest)
        manifest = manifest.model_copy(update={"parity": parity})
        write_bundle(path, manifest, members)
        return manifest
