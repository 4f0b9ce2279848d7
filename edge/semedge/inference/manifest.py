"""The manifest of a detector bundle: what it computes, and how it was made."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from semedge.inference.scaling import FrameScaling, Scaling
from semedge.inference.scores import SCORES, tensors_needed

FormatVersion = Literal[1, 2, 3, 4]
FORMAT_VERSIONS = get_args(FormatVersion)
"""1: a detector of patches; 2: one of whole frames; 3: one of patches, with a fully
convolutional network too; 4: one that judges pretrained features of whole frames. A reader refuses
later versions than its own."""

FEATURES = "features"
"""Name of the graph of the pretrained network in a bundle of format version 4."""
BORDER_ARRAYS = ("border_mean", "border_deviation")
POSITION_ARRAYS = ("position_mean", "position_deviation")
BANK_ARRAYS = ("projection", "offset", "items")

Name = str
Sha256 = str
Quantization = Literal["qat", "int8", "float16", "float32"]


class Record(BaseModel):
    """A part of the manifest: immutable, without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


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


class PatchInput(Record):
    """The input of networks of patches: square gray patches, scaled to [-1, 1]."""

    patch_px: int = Field(ge=1, le=1024)
    channels: Literal[1] = 1
    scaling: Scaling = "range"


class FrameGeometry(Record):
    """How a network takes a whole frame, and how its output becomes scores of cells.

    Lengths of the overlap and the margin are in the network's pixels, of which a pixel of the frame
    has `magnification`; the others are in pixels of the frame.

    Attributes
    ----------
    overlap_px
        Receptive field of a value to each side, which is discarded where tiles meet.
    feature_stride_px
        Distance between neighbouring values of the graph's output.
    margin_px
        Width by which the frame is extended by reflection on every side.
    cell_px
        Side of the cells, each of which has one score.
    smoothing_px
        Standard deviation of the Gaussian that the score map is smoothed with.
    border_px
        Cells nearer to the frame's border than this get the score of the nearest cell that is
        not: a network finds a texture anomalous where it is mirrored at the border.
    scaling
        `range`: the pixel type's range becomes [-1, 1]; `local`: by the surroundings' mean and
        standard deviation, see `semedge.inference.scaling.scale_locally`.
    """

    overlap_px: int = Field(ge=0, le=4096)
    feature_stride_px: int = Field(ge=1, le=64)
    magnification: float = Field(default=1.0, ge=0.1, le=8.0)
    margin_px: int = Field(default=0, ge=0, le=512)
    cell_px: int = Field(ge=1, le=64)
    smoothing_px: float = Field(default=0.0, ge=0, le=256)
    border_px: float = Field(default=0.0, ge=0, le=256)
    scaling: FrameScaling = "range"

    @property
    def patch_px(self) -> int:
        """Side of a cell, which has one score."""
        return self.cell_px

    @property
    def reach_px(self) -> int:
        """Pixels of the frame beyond a cell that its score may depend on."""
        return math.ceil(self.overlap_px / self.magnification + 2 * self.smoothing_px)


class FrameInput(FrameGeometry):
    """The input of a network of whole frames: a tile of the frame, gray values in [-1, 1].

    Attributes
    ----------
    tile_height_px, tile_width_px
        Size of the input of the graph, in the network's pixels.
    """

    tile_height_px: int = Field(ge=16, le=8192)
    tile_width_px: int = Field(ge=16, le=8192)

    @property
    def tile_shape(self) -> tuple[int, int]:
        """Height and width of a tile."""
        return self.tile_height_px, self.tile_width_px


class FeatureInput(FrameGeometry):
    """The input of the pretrained network of features, whose tiles may have any size.

    Attributes
    ----------
    network
        The network that gives the features.
    frame_height_px, frame_width_px
        Size of the frames of which the detector knows the normal score of each position; None
        where it knows none, so that frames may have any size.
    """

    network: Literal["efficientnet-lite0"]
    frame_height_px: int | None = Field(default=None, ge=1)
    frame_width_px: int | None = Field(default=None, ge=1)

    @property
    def frame_shape(self) -> tuple[int, int] | None:
        """Height and width of the frames whose positions the detector knows."""
        if self.frame_height_px is None or self.frame_width_px is None:
            return None
        return self.frame_height_px, self.frame_width_px


class Scale(Record):
    """How values are standardized: `origin` becomes 0, and `origin + unit` becomes 1."""

    origin: float
    unit: float = Field(gt=0)

    def apply(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Values in this scale."""
        scaled: NDArray[np.float32] = (values - np.float32(self.origin)) / np.float32(self.unit)
        return scaled


class FeatureMap(Record):
    """A model of normal features, which gives each place a distance.

    Attributes
    ----------
    name
        Name of the map as a score of its own, and the beginning of its arrays' names.
    model
        A Gaussian of one output of the network, or a bank of normal features of several outputs.
    output
        The output that a Gaussian judges.
    weight
        Share in its group.
    scale
        Mean and standard deviation of the smoothed map's logarithm over normal frames that the
        model was not fitted to.
    """

    name: Name = Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")
    model: Literal["gaussian", "bank"]
    output: Name | None = None
    weight: float = Field(gt=0, le=1)
    scale: Scale

    @property
    def arrays(self) -> tuple[Name, ...]:
        """Names of its arrays in the bundle."""
        ends = ("mean", "whitening") if self.model == "gaussian" else BANK_ARRAYS
        return tuple(f"{self.name}_{end}" for end in ends)


class MapGroup(Record):
    """Maps that are averaged; a cell is judged by the group in which it stands out most.

    Attributes
    ----------
    maps
        The maps that are averaged.
    scale
        The median over normal frames, and how far above it the group's highest values count as
        much as those of another group.
    """

    maps: tuple[FeatureMap, ...] = Field(min_length=1)
    scale: Scale


class Position(Record):
    """For objects that always lie alike: a cell is compared with normal cells at its position.

    Attributes
    ----------
    weight
        Share of the values that are standardized cell by cell.
    values, cell_by_cell
        Mean and standard deviation over normal frames of the values, and of those that are
        standardized cell by cell.
    """

    weight: float = Field(gt=0, le=1)
    values: Scale
    cell_by_cell: Scale


class FeatureScore(Record):
    """How maps of distances become the score that a frame is judged by.

    Attributes
    ----------
    name
        Name of the score.
    groups
        Groups of maps.
    position
        None where no position is special.
    scale
        Makes the score 0 at the median of normal cells, and 100 at the value that one normal cell
        in a thousand exceeds.
    top_share, least_cells
        A frame's score is the mean of this share of its cells, the highest ones, but of at least
        this number of cells.
    """

    name: Literal["features"] = "features"
    groups: tuple[MapGroup, ...] = Field(min_length=1)
    position: Position | None = None
    scale: Scale
    top_share: float = Field(ge=0, le=1)
    least_cells: int = Field(ge=1)

    @property
    def maps(self) -> tuple[FeatureMap, ...]:
        """The maps of all groups."""
        return tuple(each for group in self.groups for each in group.maps)

    @property
    def weights(self) -> dict[str, float]:
        """The score as a sum of scores: of itself."""
        return {self.name: 1.0}

    @property
    def arrays(self) -> tuple[Name, ...]:
        """Names of the arrays that it needs."""
        own = BORDER_ARRAYS if self.position is None else BORDER_ARRAYS + POSITION_ARRAYS
        return own + tuple(name for each in self.maps for name in each.arrays)

    def judged_cells(self, cells: int) -> int:
        """How many of a frame's cells, the highest ones, the frame is judged by."""
        return min(cells, max(self.least_cells, math.ceil(self.top_share * cells)))


class Candidate(Record):
    """A variant of the detector, and how well it found defects that were planted.

    Attributes
    ----------
    name
        What it differs in from the default.
    auroc
        Of planted against clean normal frames that the models were not fitted to; the mean over
        the kinds of planted defects.
    kinds
        The same by kind.
    """

    name: str
    auroc: float = Field(ge=0, le=1)
    kinds: dict[str, float]


class Choice(Record):
    """Why the detector has the options that it has.

    Attributes
    ----------
    reason
        In a sentence.
    candidates
        The variants that were tried, the default first.
    """

    reason: str
    candidates: tuple[Candidate, ...] = ()


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
