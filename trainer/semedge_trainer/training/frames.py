"""The normal frames that a training starts from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semedge.cameras import CameraSettings, open_camera
from semedge.core.errors import SemedgeError
from semedge.core.frame import GrayImage
from semedge.core.view import WHOLE, ViewSettings
from semedge.inference.bundle import frame_sha256
from semedge.inference.manifest import Intensity


@dataclass(frozen=True)
class TrainingFrames:
    """Normal frames in memory, all of one pixel type.

    Attributes
    ----------
    images
        Gray images, each `(height, width)`; the sizes may differ.
    names
        What each frame is called.
    """

    images: tuple[GrayImage, ...]
    names: tuple[str, ...]

    @property
    def sha256(self) -> tuple[str, ...]:
        """Digest of every frame's pixels."""
        return tuple(frame_sha256(image) for image in self.images)

    @property
    def shape(self) -> tuple[int, int]:
        """Height of the tallest frame, and width of the widest."""
        heights, widths = zip(*(image.shape for image in self.images), strict=True)
        return max(heights), max(widths)

    @property
    def intensity(self) -> Intensity:
        """Gray values over all frames, as shares of the pixel type's range."""
        full_scale = np.iinfo(self.images[0].dtype).max
        values = np.concatenate([image.ravel() for image in self.images]) / full_scale
        low, high = np.percentile(values, (1, 99))
        return Intensity(
            mean=float(values.mean()),
            standard_deviation=float(values.std()),
            percentile_1=float(low),
            percentile_99=float(high),
        )

    def some(self, count: int) -> tuple[GrayImage, ...]:
        """At most `count` frames, evenly chosen, the tallest and the widest first."""
        chosen = [
            max(self.images, key=lambda image: image.shape[0]),
            max(self.images, key=lambda image: image.shape[1]),
            *self.images[:: -(-len(self.images) // count)],
        ]
        return tuple({id(image): image for image in chosen}.values())[:count]

    def split(self, share: float, patch_px: int) -> tuple[TrainingFrames, TrainingFrames]:
        """The frames without their lower rows, and these: about a share, a patch at least.

        No patch of one part has a pixel of the other.

        Raises `SemedgeError` where a frame is too low for both parts.
        """
        upper, lower = [], []
        for image, name in zip(self.images, self.names, strict=True):
            height = image.shape[0]
            row = height - max(patch_px, round(share * height))
            if row < patch_px:
                raise SemedgeError(
                    f"{name} is {height} px high, too low to hold rows for validation out of it "
                    f"with patches of {patch_px} px; leave out --validation-share."
                )
            upper.append(image[:row])
            lower.append(image[row:])
        return TrainingFrames(tuple(upper), self.names), TrainingFrames(tuple(lower), self.names)

    def sample(self, count: int, patch_px: int, seed: int) -> NDArray:
        """`count` random patches, shape `(count, patch_px, patch_px, 1)`, pixel type kept."""
        random = np.random.default_rng(seed)
        patches = []
        for index in random.integers(len(self.images), size=count):
            image = self.images[index]
            top = random.integers(image.shape[0] - patch_px + 1)
            left = random.integers(image.shape[1] - patch_px + 1)
            patches.append(image[top : top + patch_px, left : left + patch_px])
        return np.stack(patches)[..., None]


def read_training_frames(
    source: str, patch_px: int, max_frames: int | None = None, view: ViewSettings = WHOLE
) -> TrainingFrames:
    """Read the frames of a folder, glob, file or `sim:SEED?frames=N`.

    Each is read and cropped as `view` says.

    Raises `SemedgeError` where a frame is smaller than a patch or pixel types are mixed.
    """
    images: list[GrayImage] = []
    names: list[str] = []
    settings = CameraSettings(**dict(view))
    with open_camera(source, settings=settings) as camera:
        for frame in camera:
            if min(frame.shape) < patch_px:
                raise SemedgeError(
                    f"{frame.source} has {frame.shape[1]}x{frame.shape[0]} px, less than a patch "
                    f"of {patch_px}x{patch_px} px; train on larger frames."
                )
            images.append(frame.image)
            names.append(frame.source)
            if len(images) == max_frames:
                break
    types = {image.dtype for image in images}
    if not images:
        raise SemedgeError(f"{source} gave no frame to train on; give normal frames.")
    if len(types) > 1:
        raise SemedgeError(
            f"{source} mixes 8-bit and 16-bit frames; train on frames of one kind, as the camera "
            "gives them."
        )
    return TrainingFrames(tuple(images), tuple(names))
