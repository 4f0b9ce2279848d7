"""What a detector bundle says of itself."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from semedge.scaling import Scaling
from semedge.scores import SCORES, tensors_needed

FORMAT_VERSION = 1

Name = str
Sha256 = str
Quantization = Literal["qat", "int8", "float16", "float32"]


class Record(BaseModel):
    """A part of the manifest: immutable, and no field that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Member(Record):
    """A file of the bundle beside the manifest."""

    sha256: Sha256 = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=1)


class Node(Record):
    """One step of the computation: a graph run on tensors gives another tensor.

    Several inputs are concatenated along the last axis. Where the arrays are named, the input is
    divided by `input_scale` and the output multiplied by `output_scale`, both `(features,)`: what
    an int8 graph needs for its latents to use the whole of its range.
    """

    output: Name
    graph: Name
    inputs: tuple[Name, ...] = Field(min_length=1)
    input_scale: Name | None = None
    output_scale: Name | None = None


class PatchInput(Record):
    """What the networks expect: square gray patches, scaled to [-1, 1]."""

    patch_px: int = Field(ge=1, le=1024)
    channels: Literal[1] = 1
    scaling: Scaling = "range"


class ScoreChoice(Record):
    """The score that a frame is judged by: a weighted sum of elementary scores."""

    name: str
    weights: dict[str, float] = Field(min_length=1)


class Intensity(Record):
    """Gray values of the training frames, as shares of the pixel type's range."""

    mean: float
    standard_deviation: float
    percentile_1: float
    percentile_99: float


class Training(Record):
    """Where the weights come from."""

    detector: str
    thesis_section: str
    schedule: str
    seed: int
    steps: dict[str, int]
    learning_rates: dict[str, float]
    options: dict[str, bool | int | float | str]
    frame_sha256: tuple[Sha256, ...]
    frames: int = Field(ge=1)
    intensity: Intensity
    packages: dict[str, str]
    created_at: str


class Parity(Record):
    """A score by the exported graphs against the same score by the Keras networks.

    On patches of the training frames; half are as they are, the other half are blurred flat, so
    that an AUROC can be told for either.
    """

    patches: int
    rank_correlation: float = Field(ge=-1, le=1)
    auroc_keras: float = Field(ge=0, le=1)
    auroc_exported: float = Field(ge=0, le=1)


class Manifest(Record):
    """The whole manifest, `manifest.json` in the bundle."""

    format_version: Literal[1]
    detector: str
    input: PatchInput
    stride_px: int = Field(ge=1)
    quantization: Quantization
    nodes: tuple[Node, ...]
    score: ScoreChoice
    scores: dict[str, dict[str, float]]
    members: dict[str, Member]
    training: Training
    parity: dict[str, Parity]

    @model_validator(mode="after")
    def _names_resolve(self) -> Manifest:
        arrays = {name.removesuffix(".npy") for name in self.members if name.endswith(".npy")}
        known = {"x"} | arrays
        for node in self.nodes:
            if f"{node.graph}.tflite" not in self.members:
                raise ValueError(f"node {node.output!r} runs a graph that is not in the bundle")
            if missing := set(node.inputs) - known:
                raise ValueError(f"node {node.output!r} needs {sorted(missing)}, not computed yet")
            scales = {name for name in (node.input_scale, node.output_scale) if name is not None}
            if missing := scales - arrays:
                raise ValueError(f"node {node.output!r} needs {sorted(missing)}, not in the bundle")
            known.add(node.output)
        for name, weights in [*self.scores.items(), (self.score.name, self.score.weights)]:
            if unknown := set(weights) - set(SCORES):
                raise ValueError(f"score {name!r} has unknown terms {sorted(unknown)}")
            if missing := tensors_needed(weights) - known:
                raise ValueError(f"score {name!r} needs {sorted(missing)}, which nothing computes")
        if self.stride_px > self.input.patch_px:
            raise ValueError("the stride is larger than a patch")
        return self
