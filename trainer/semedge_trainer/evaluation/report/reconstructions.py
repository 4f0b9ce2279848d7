"""Patches beside what the networks make of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from semedge.inference.bundle import Bundle
from semedge.inference.network_input import PatchInput
from semedge.inference.nodes import nodes_needed
from semedge.inference.scaling import scale_patches
from semedge_trainer.evaluation.protocols import ThesisProtocol
from semedge_trainer.evaluation.report.picture import Picture, chart
from semedge_trainer.evaluation.report.spots import normal_patches
from semedge_trainer.evaluation.results import Painter, Result
from semedge_trainer.evaluation.scored_frames import ScoredFrame
from semedge_trainer.quantization.tensors import exported_tensors

PATCHES_SHOWN = 8
DOTS_AN_INCH = 110
RECONSTRUCTION = "y"
"""Name that every detector's nodes give to what they make of the patch."""

Array = NDArray[np.float32]


@dataclass(frozen=True)
class _Place:
    """A scored patch: its frame, its place among the scored ones, its score."""

    frame: ScoredFrame
    index: int
    score: float

    @property
    def patch(self) -> NDArray:
        """Its pixels, `(1, patch_px, patch_px, 1)`."""
        whole, _ = self.frame.files.read(self.frame.grid.patch_px)
        height, width = self.frame.grid.frame_shape
        return self.frame.grid.cut(whole.image[:height, :width])[self.frame.chosen[self.index]][
            None
        ]


def bundle_painter(bundle: Bundle) -> Painter | None:
    """What the bundle's graphs make of patches; None where they give no reconstruction."""
    nodes = nodes_needed(bundle.manifest.nodes, {RECONSTRUCTION})
    if not nodes or not isinstance(bundle.manifest.input, PatchInput):
        return None
    graphs = {node.graph: bundle.graph(node.graph) for node in nodes}
    constants, scaling = bundle.arrays(), bundle.manifest.input.scaling

    def paint(patches: NDArray) -> tuple[Array, Array]:
        x = scale_patches(patches, scaling)
        return x, exported_tensors(nodes, graphs, constants, x)[RECONSTRUCTION]

    return paint


def reconstructions(paint: Painter, result: Result) -> dict[str, Picture]:
    """Some normal and some anomalous patches, `normal` and `anomalous`, where there are such.

    They are spread over their kind's scores.
    """
    pictures = {}
    for kind in ("normal", "anomalous"):
        places = _spread(result, kind)
        if places:
            x, y = paint(np.concatenate([place.patch for place in places]))
            pictures[kind] = _draw(kind, x[..., 0], y[..., 0], [place.score for place in places])
    return pictures


def _spread(result: Result, kind: str) -> list[_Place]:
    """Patches of a kind from the lowest score to the highest, evenly by their rank."""
    score = result.rows[0].score
    masked = [frame for frame in result.frames if frame.files.masked]
    chosen = [np.flatnonzero(_of_kind(result, frame, kind)) for frame in masked]
    scores = np.concatenate(
        [frame.patch_scores[score][own] for frame, own in zip(masked, chosen, strict=True)]
    )
    owner = np.repeat(np.arange(len(masked)), [len(own) for own in chosen])
    index = np.concatenate(chosen)
    ranks = np.linspace(0, len(scores) - 1, min(PATCHES_SHOWN, len(scores))).round().astype(int)
    return [
        _Place(masked[owner[at]], int(index[at]), float(scores[at]))
        for at in np.argsort(scores)[ranks]
    ]


def _of_kind(result: Result, frame: ScoredFrame, kind: str) -> NDArray[np.bool_]:
    if kind == "normal":
        return normal_patches(result, frame)
    if result.by_pixel:
        return ThesisProtocol().labels(frame.grid, frame.labels)
    return frame.labels


def _draw(kind: str, x: Array, y: Array, scores: list[float]) -> Picture:
    """Rows of patches, of reconstructions and of what differs, a column a patch."""
    figure = Figure((1.1 * len(x) + 0.5, 3.9), DOTS_AN_INCH, layout="constrained")
    axes = figure.subplots(3, len(x), squeeze=False)
    rows = (
        (x, "patch", {"cmap": "gray", "vmin": -1, "vmax": 1}),
        (y, "reconstruction", {"cmap": "gray", "vmin": -1, "vmax": 1}),
        (abs(x - y), "difference", {"cmap": "inferno", "vmin": 0, "vmax": 1}),
    )
    for across, (values, name, colours) in zip(axes, rows, strict=True):
        across[0].set_ylabel(name)
        for each, patch in zip(across, values, strict=True):
            each.imshow(patch, interpolation="nearest", **colours)
            each.set(xticks=[], yticks=[])
    for each, score in zip(axes[0], scores, strict=True):
        each.set_title(f"{score:.3g}", fontsize="small")
    return chart(f"{kind.capitalize()} patches above their reconstructions.", figure)
