"""The manifest of a detector bundle: what it computes, and how it was made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, get_args

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from semedge.inference.colour_statistics import COLOUR
from semedge.inference.feature_manifest import FEATURES, Choice, FeatureScore
from semedge.inference.network_input import FeatureInput, FrameGeometry, FrameInput, PatchInput
from semedge.inference.record import Name, Record
from semedge.inference.scores import SCORES, tensors_needed

FormatVersion = Literal[1, 2, 3, 4]
FORMAT_VERSIONS = get_args(FormatVersion)
"""1: a detector of patches; 2: one of whole frames; 3: one of patches, with a fully
convolutional network too; 4: one that judges pretrained features of whole frames. A reader refuses
later versions than its own."""

Sha256 = str
Quantization = Literal["qat", "int8", "float16", "float32"]


class Member(Record):
    """A file of the bundle beside the manifest."""

    sha256: Sha256 = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=1)


class TileNetwork(Record):
    """The fully convolutional network of a node: its input is a tile of the frame.

    Its output is that of the patches of the tile at multiples of the manifest's stride, row by
    row.

    Attributes
    ----------
    graph
        Name of the graph, which maps one tile to `(patches, ...)`.
    tile_height_px, tile_width_px
        Size of a tile.
    """

    graph: Name
    tile_height_px: int = Field(ge=1, le=8192)
    tile_width_px: int = Field(ge=1, le=8192)

    @property
    def tile_shape(self) -> tuple[int, int]:
        """Height and width of a tile."""
        return self.tile_height_px, self.tile_width_px


class Node(Record):
    """One step of the computation: a graph maps tensors to another tensor.

    Several inputs are concatenated along the last axis. Where the arrays are named, the input is
    divided by `input_scale` and the output multiplied by `output_scale`, both `(features,)`: an
    int8 graph needs them so that its latents use its whole range. A node with `over_frame` has a
    second graph, which computes the same for all patches of a tile.
    """

    output: Name
    graph: Name
    inputs: tuple[Name, ...] = Field(min_length=1)
    input_scale: Name | None = None
    output_scale: Name | None = None
    over_frame: TileNetwork | None = None

    @property
    def graphs(self) -> tuple[Name, ...]:
        """Names of its graphs."""
        return (self.graph,) if self.over_frame is None else (self.graph, self.over_frame.graph)


class ScoreChoice(Record):
    """The score that a frame is judged by: a weighted sum of elementary scores."""

    name: str
    weights: dict[str, float] = Field(min_length=1)

    def judged_cells(self, cells: int) -> int:
        """One: a frame is judged by its highest patch."""
        return 1


class Intensity(Record):
    """Gray values of the training frames, as shares of the pixel type's range."""

    mean: float
    standard_deviation: float
    percentile_1: float
    percentile_99: float


class Training(Record):
    """How the weights were trained.

    `bits` are those of a pixel, where the frames' white was not the largest value of their type;
    it is written only then, so that older readers read the others.
    """

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
    bits: int | None = Field(default=None, ge=1, le=16)

    @model_serializer(mode="wrap")
    def _without_absent_bits(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = dump(self)
        if document.get("bits") is None:
            document.pop("bits", None)
        return document


class Parity(Record):
    """A score by the exported graphs, compared with the same score by the Keras networks.

    Both score patches of the training frames, of which one half is unchanged and the other half
    is blurred flat, so that each has an AUROC.
    """

    patches: int
    rank_correlation: float = Field(ge=-1, le=1)
    auroc_keras: float = Field(ge=0, le=1)
    auroc_exported: float = Field(ge=0, le=1)


def format_version_of(
    detector_input: PatchInput | FrameGeometry, nodes: Iterable[Node]
) -> FormatVersion:
    """The first version whose readers support such an input and such nodes."""
    if isinstance(detector_input, FeatureInput):
        return 4
    if isinstance(detector_input, FrameInput):
        return 2
    return 3 if any(node.over_frame is not None for node in nodes) else 1


class Manifest(Record):
    """The whole manifest, `manifest.json` in the bundle."""

    format_version: FormatVersion
    detector: str
    input: PatchInput | FeatureInput | FrameInput
    stride_px: int = Field(ge=1)
    quantization: Quantization
    nodes: tuple[Node, ...]
    score: ScoreChoice | FeatureScore
    scores: dict[str, dict[str, float]]
    members: dict[str, Member]
    training: Training
    parity: dict[str, Parity]
    choice: Choice | None = None

    @property
    def judges_colours(self) -> bool:
        """Whether it was learned from frames in colour and judges their colours."""
        return isinstance(self.score, FeatureScore) and self.score.judges(COLOUR)

    @property
    def all_scores(self) -> dict[str, dict[str, float]]:
        """Weights of every score by its name; the one that frames are judged by is first."""
        if isinstance(self.score, FeatureScore):
            alone = {each.name: {each.name: 1.0} for each in self.score.maps}
            return {self.score.name: self.score.weights, **alone}
        others = {
            name: self.scores[name] for name in sorted(self.scores) if name != self.score.name
        }
        return {self.score.name: self.score.weights, **others}

    @model_validator(mode="after")
    def _names_resolve(self) -> Manifest:
        arrays = {name.removesuffix(".npy") for name in self.members if name.endswith(".npy")}
        if isinstance(self.input, FeatureInput) or isinstance(self.score, FeatureScore):
            return self._check_features(arrays)
        known = {"x"} | arrays
        for node in self.nodes:
            if any(f"{name}.tflite" not in self.members for name in node.graphs):
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
        if self.format_version != format_version_of(self.input, self.nodes):
            raise ValueError("the input and its networks are not those of the format version")
        for node in self.nodes:
            if node.over_frame is not None:
                self._check_tile_network(node, node.over_frame)
        if self.stride_px > self.input.patch_px:
            raise ValueError("the stride is larger than a patch")
        return self

    def _check_features(self, arrays: set[str]) -> Manifest:
        if not isinstance(self.input, FeatureInput) or not isinstance(self.score, FeatureScore):
            raise ValueError("a score of features needs the network of features, and the reverse")
        if self.nodes or self.scores or self.format_version != 4:
            raise ValueError("the input and its networks are not those of the format version")
        if f"{FEATURES}.tflite" not in self.members:
            raise ValueError("the network of features is not in the bundle")
        if missing := set(self.score.arrays) - arrays:
            raise ValueError(f"the score needs {sorted(missing)}, not in the bundle")
        if self.score.position is not None and self.input.frame_shape is None:
            raise ValueError("the score knows positions, but not the size of the frames")
        if self.stride_px > self.input.patch_px:
            raise ValueError("the stride is larger than a patch")
        return self

    def _check_tile_network(self, node: Node, over_frame: TileNetwork) -> None:
        if node.inputs != ("x",):
            raise ValueError(
                f"node {node.output!r} is fully convolutional, but does not run on patches"
            )
        if self.input.scaling != "range":
            raise ValueError(
                f"node {node.output!r} is fully convolutional, but each patch is scaled by itself"
            )
        if min(over_frame.tile_shape) < self.input.patch_px:
            raise ValueError(f"node {node.output!r} has tiles that are smaller than a patch")
