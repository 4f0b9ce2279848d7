"""Frames with defect masks: which mask belongs to which frame, and whether it fits."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semedge.core.errors import RefusedError, SemedgeError
from semedge.core.frame import Frame
from semedge.core.images import list_frames, read_image, read_mask, read_picture, split_page
from semedge.core.view import FrameView
from semedge.inference.bundle import frame_sha256

MASK_ENDINGS = ("", "_gt", "_mask")
"""What a mask's name has more than its frame's."""


@dataclass(frozen=True)
class MaskedFrame:
    """Files of a frame and of the mask of its defects.

    Attributes
    ----------
    image_path, mask_path
        The files; no mask where the frame is known as normal.
    view
        What is cut off from the frame, and from a mask that is as large.
    """

    image_path: Path
    mask_path: Path | None
    view: FrameView = field(default_factory=FrameView, compare=False)

    @property
    def masked(self) -> bool:
        """Whether there is a mask; without one the frame counts among whole frames only."""
        return self.mask_path is not None

    def read(self, patch_px: int) -> tuple[Frame, NDArray[np.bool_]]:
        """The frame, and its mask `(height, width)`.

        Raises `SemedgeError` where the sizes differ or the frame is smaller than a patch.
        """
        picture = read_picture(self.image_path)
        source = str(self.image_path)
        frame = self.view.show(Frame(picture.image, source=source, colours=picture.colours))
        mask = np.zeros(frame.shape, bool) if self.mask_path is None else read_mask(self.mask_path)
        if mask.shape == picture.image.shape:
            mask = self.view.cut(mask)
        height, width = frame.shape
        if mask.shape != frame.shape:
            raise SemedgeError(
                f"The mask {self.mask_path} has {mask.shape[1]}x{mask.shape[0]} px and its frame "
                f"{self.image_path} {width}x{height} px; give a mask of the frame's size."
            )
        if min(height, width) < patch_px:
            raise SemedgeError(
                f"The frame {self.image_path} of {width}x{height} px is smaller than a patch of "
                f"{patch_px}x{patch_px} px; use larger frames, or a detector with smaller patches."
            )
        return frame, mask


def match_masks(
    images_dir: Path, masks_dir: Path, view: FrameView | None = None
) -> list[MaskedFrame]:
    """Every frame of a folder with its mask, in natural order.

    The mask of `NAME.tif` is `NAME`, `NAME_gt` or `NAME_mask` with any image suffix; masks without
    a frame are left aside. Raises `SemedgeError` where a folder is missing, or a frame has no
    mask, several, or one that another frame has too.
    """
    for folder, content in ((images_dir, "frames"), (masks_dir, "masks")):
        if not folder.is_dir():
            raise SemedgeError(
                f"{folder} is not a folder; give the folder that holds the {content}."
            )
    masks = _by_stem(list_frames(masks_dir))
    frames = _by_stem(list_frames(images_dir))
    for paths in frames.values():
        if len(paths) > 1:
            raise SemedgeError(
                f"The frames {' and '.join(map(str, paths))} would have the same mask; rename one."
            )
    edge = FrameView() if view is None else view
    return [
        MaskedFrame(path, _mask_of(path, masks, masks_dir), edge) for (path,) in frames.values()
    ]


def unseen_normal_frames(
    images_dir: Path, trained_on: Collection[str], view: FrameView
) -> list[MaskedFrame]:
    """Normal frames of a folder, in natural order.

    Raises `RefusedError` where one is among the frames with the digests `trained_on`: a detector
    scores those lower than fresh ones.
    """
    if not images_dir.is_dir():
        raise SemedgeError(
            f"{images_dir} is not a folder; give the folder that holds the normal frames."
        )
    paths = [Path(name) for name in list_frames(images_dir)]
    seen = [
        path.name
        for path in paths
        if frame_sha256(view.crop(read_image(path), str(path))) in trained_on
    ]
    if seen:
        raise RefusedError(
            f"The detector was trained on {len(seen)} of the {len(paths)} normal frames in "
            f"{images_dir} ({', '.join(seen)}); give frames that it has not seen."
        )
    return [MaskedFrame(path, None, view) for path in paths]


def _by_stem(names: Iterable[str]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for name in names:
        found.setdefault(_named("", Path(name)), []).append(Path(name))
    return found


def _named(ending: str, path: Path) -> str:
    """The name of a file without its suffix, with an ending, and with the page that is meant."""
    file, _ = split_page(path)
    page = path.name.removeprefix(file.name)
    return f"{file.stem}{ending}{page}"


def _mask_of(image_path: Path, masks: dict[str, list[Path]], masks_dir: Path) -> Path:
    names = [_named(ending, image_path) for ending in MASK_ENDINGS]
    found = [path for name in names for path in masks.get(name, [])]
    if not found:
        raise SemedgeError(
            f"The frame {image_path} has no mask in {masks_dir}; add one named "
            f"{' or '.join(names)}, all black where nothing is wrong."
        )
    if len(found) > 1:
        raise SemedgeError(
            f"The frame {image_path} has several masks, {' and '.join(map(str, found))}; keep one."
        )
    return found[0]
