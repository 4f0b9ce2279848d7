"""Pretrained features of the frame, and one Gaussian a depth for the whole texture.

A network that was trained on ImageNet sees texture. How far its features at a place lie from those
of normal material, by Mahalanobis distance, says how odd the place is. No position is special, so
that five frames give tens of thousands of samples, and nothing is trained. The idea is that of
Rippel et al., "Modeling the Distribution of Normal Data in Pre-Trained Deep Features for Anomaly
Detection" (2020). Theirs is also that the directions in which normal features vary least tell most:
the quarter with the largest variance is left out here. Every place is judged, and depths are added
up as if they were independent.

The depths are the places in EfficientNet-Lite0 that tell most on their own: outputs of blocks
without a shortcut, the 6th and the 9th, and the expansion in the 12th, which doubles the work.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf_shrinkage

from semedge.errors import SemedgeError
from semedge.frame import GrayImage
from semedge.frame_scorer import continued, prepare_frame
from semedge.manifest import FrameInput
from semedge.scaling import scale_patches
from semedge_trainer.detectors.base import Networks, Schedule, ScorePlan, node
from semedge_trainer.detectors.whole_frame import FrameDetector
from semedge_trainer.efficientnet import build_segment, reach_px, stage_of
from semedge_trainer.networks import Network

Array = NDArray[np.float32]

EXPANDED = 12
"""The depth that is the expansion in a block, and not its output."""
FIT_FRAMES = 100
"""Frames that the Gaussians are fitted to at most, evenly chosen."""
FIT_POSITIONS = 20_000
"""Places that they are fitted to at most."""
SEED = 0


@dataclass(frozen=True)
class TextureGaussianOptions:
    """Variants of the detector.

    Attributes
    ----------
    depths
        Blocks whose features are used; fewer are faster.
    magnification
        Size of the frame as the network sees it; more is slower, and finer.
    kept
        Share of the directions that a depth is judged by, those of least variance.
    ridge
        Share of the mean variance that is added to every variance.
    smoothing_px
        Standard deviation of the Gaussian that smooths the score map.
    border_px
        Width of the strip along the frame's border that is judged by the places beside it.
    """

    depths: str = field(default="6+9", metadata={"choices": ("6+9", "6+9+12", "9", "6")})
    magnification: float = 1.0
    kept: float = 0.75
    ridge: float = 1e-3
    smoothing_px: float = 6.0
    border_px: float = 20.0


class TextureGaussian(FrameDetector):
    """Mahalanobis distance of a pretrained network's features."""

    name: ClassVar[str] = "texture-gaussian"
    thesis_section: ClassVar[str] = "none: pretrained features, after Rippel et al. 2020"
    options_class: ClassVar[type] = TextureGaussianOptions
    margin_px: ClassVar[int] = 32
    cell_px: ClassVar[int] = 8

    def __init__(self, options: TextureGaussianOptions, schedule: Schedule) -> None:
        for name, low, high in (
            ("magnification", 0.1, 8),
            ("kept", 0.01, 1),
            ("ridge", 1e-9, 10),
            ("smoothing_px", 0, 256),
            ("border_px", 0, 256),
        ):
            if not low <= getattr(options, name) <= high:
                raise SemedgeError(
                    f"Option {name} must be between {low} and {high}. "
                    f"Received: {getattr(options, name)}"
                )
        super().__init__(options, schedule)
        self.depths = tuple(int(text) for text in options.depths.split("+"))
        self.stride_px = stage_of(self.depths[0]).stride_px

    def build(self) -> dict[str, Network]:
        """The pretrained network in segments, each up to one depth, for frames of any size."""
        return self._segments((None, None))

    def networks_for(self, networks: Networks, tile_shape: tuple[int, int]) -> dict[str, Network]:
        """The same segments for tiles of one size."""
        fixed = self._segments(tile_shape)
        for name, network in fixed.items():
            network.set_weights(networks[name].get_weights())
        return fixed

    def _segments(self, tile_shape: tuple[int | None, int | None]) -> dict[str, Network]:
        segments = {}
        first, shape = 1, tile_shape
        for depth in self.depths:
            segments[f"blocks{depth}"] = build_segment(
                first, depth, shape, expanded=depth == EXPANDED
            )
            first = depth + 1
            rows, columns = segments[f"blocks{depth}"].output_shape[1:3]
            shape = (rows, columns)
        return segments

    def score_plan(self) -> ScorePlan:
        """The mean of the depths' distances, and each alone."""
        inputs = ("x", *(f"f{depth}" for depth in self.depths))
        alone = {f"texture_{depth}": 1.0 for depth in self.depths}
        together = {name: 1.0 / len(alone) for name in alone}
        return ScorePlan(
            nodes=tuple(
                node(f"f{depth}", f"blocks{depth}", source)
                for depth, source in zip(self.depths, inputs, strict=False)
            ),
            scores={"texture": together, **{name: {name: 1.0} for name in alone}},
            default="texture",
        )

    def frame_input(self, tile_shape: tuple[int, int] = (16, 16)) -> FrameInput:
        """Magnified, continued on every side, in tiles that overlap by the network's reach."""
        step_px = self.stride_px
        return FrameInput(
            tile_height_px=tile_shape[0],
            tile_width_px=tile_shape[1],
            overlap_px=-(-reach_px(min(self.depths[-1], EXPANDED - 1)) // step_px) * step_px,
            feature_stride_px=step_px,
            magnification=self.options.magnification,
            margin_px=self.margin_px,
            cell_px=self.cell_px,
            smoothing_px=self.options.smoothing_px,
            border_px=self.options.border_px,
        )

    def fit_frames(
        self,
        networks: Networks,
        images: tuple[GrayImage, ...],
        tile_shape: tuple[int, int] | None = None,
    ) -> dict[str, Array]:
        """Mean and whitening of every depth's features over normal frames."""
        chosen = images[:: -(-len(images) // FIT_FRAMES)]
        share = -(-FIT_POSITIONS // len(chosen))
        random = np.random.default_rng(SEED)
        gathered: dict[str, list[Array]] = {}
        for image in chosen:
            for name, values in self.features(networks, image, tile_shape).items():
                flat = values.reshape(-1, values.shape[-1])
                places = random.permutation(len(flat))[:share]
                gathered.setdefault(name, []).append(flat[places])
        arrays: dict[str, Array] = {}
        for name, parts in gathered.items():
            mean, whitening = gaussian_of(
                np.concatenate(parts), self.options.ridge, self.options.kept
            )
            arrays |= {f"{name}_mean": mean, f"{name}_whitening": whitening}
        return arrays

    def features(
        self, networks: Networks, image: GrayImage, tile_shape: tuple[int, int] | None = None
    ) -> dict[str, Array]:
        """Every depth's features `(rows, columns, channels)` at the places inside the frame.

        Networks that take one size only see the frame's first tile. Depths whose networks are left
        out have no features.
        """
        step_px = self.stride_px
        prepared = prepare_frame(image, self.frame_input())
        shape = tile_shape or tuple(-(-side // step_px) * step_px for side in prepared.shape)
        shown = prepared[: shape[0], : shape[1]]
        below, right = (side - seen for side, seen in zip(shape, shown.shape, strict=True))
        tile = continued(shown, (0, below, 0, right))
        first = self.margin_px // step_px
        rows, columns = (
            slice(first, max(first + 1, (seen - self.margin_px) // step_px)) for seen in shown.shape
        )
        values = scale_patches(tile[None, ..., None], "range")
        inside: dict[str, Array] = {}
        for depth in self.depths:
            if f"blocks{depth}" not in networks:
                break
            values = np.asarray(networks[f"blocks{depth}"](values))
            inside[f"f{depth}"] = values[0, rows, columns]
        return inside


def gaussian_of(features: Array, ridge: float, kept: float) -> tuple[Array, Array]:
    """Mean `(d,)` of features `(n, d)`, and whitening `(d, k)` of the directions of least variance.

    `kept` is k as a share of d.

    The covariance is shrunk towards its mean variance by as much as Ledoit and Wolf (2004) find
    best, which is next to nothing for many samples and keeps few of them usable; then `ridge` times
    the mean variance is added to its diagonal.
    """
    mean = features.mean(axis=0, dtype=np.float64)
    centred = features - mean
    covariance = centred.T @ centred / len(features)
    variance = np.trace(covariance) / len(covariance)
    if not variance > 0:
        raise SemedgeError(
            "The training frames have the same features everywhere, as frames of one gray have; "
            "train on frames that show the material."
        )
    shrinkage = ledoit_wolf_shrinkage(centred, assume_centered=True)
    shrunk = (1 - shrinkage) * covariance
    shrunk[np.diag_indices_from(shrunk)] += (shrinkage + ridge) * variance
    values, vectors = np.linalg.eigh(shrunk)
    count = max(1, round(kept * len(values)))
    whitening = vectors[:, :count] / np.sqrt(values[:count])
    return mean.astype(np.float32), whitening.astype(np.float32)
