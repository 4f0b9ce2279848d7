"""What of a frame is inspected: its white, what is cut off, and what is left out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveInt

from semedge.core.errors import SemedgeError
from semedge.core.frame import AnyImage, Frame, GrayImage
from semedge.core.images import read_mask, to_gray
from semedge.core.information_bar import find_information_bar
from semedge.core.section import Section
from semedge.core.shown import Shown
from semedge.core.white import ContainerError, fill_container, unfilled_bits

logger = logging.getLogger(__name__)

AnyView = TypeVar("AnyView", bound="ViewSettings")
Rectangle = tuple[NonNegativeInt, NonNegativeInt, PositiveInt, PositiveInt]
Crops = tuple[int, int, int, int]
"""Pixels that are cut off at the top, bottom, left and right."""
BLACK = 256
"""Largest value of a 16-bit frame below which it is simply black."""


class ViewSettings(Section):
    """What of each frame is inspected; wherever frames are used, give the same."""

    bits: int | None = Field(
        default=None,
        ge=1,
        le=16,
        description="Bits of a pixel, where 16-bit frames have fewer and do not say so: 12 for "
        "values up to 4095.",
    )
    pixel_size_um: float | None = Field(
        default=None,
        gt=0,
        description="Size of a pixel on the specimen, where the files do not say it.",
    )
    crop_top_px: int = Field(default=0, ge=0, description="Rows cut off at the upper edge.")
    crop_bottom_px: int = Field(
        default=0,
        ge=0,
        description="Rows cut off at the lower edge, such as those of an information bar.",
    )
    crop_left_px: int = Field(default=0, ge=0, description="Columns cut off at the left edge.")
    crop_right_px: int = Field(default=0, ge=0, description="Columns cut off at the right edge.")
    leave_out_px: tuple[Rectangle, ...] = Field(
        default=(),
        description="Rectangles that are not inspected, such as a clock or a fixture: left, top, "
        "width and height of each in the whole frame, before it is cropped.",
    )
    leave_out_mask: Path | None = Field(
        default=None,
        description="A picture of the whole frame's size, white where nothing is inspected.",
    )

    @property
    def crops_px(self) -> Crops:
        """What is cut off."""
        return (
            self.crop_top_px,
            self.crop_bottom_px,
            self.crop_left_px,
            self.crop_right_px,
        )

    def with_bits(self: AnyView, *known: int | None) -> AnyView:
        """These settings; where the bits are not given, those of the first that knows them."""
        bits = next((each for each in (self.bits, *known) if each is not None), None)
        return self if bits == self.bits else self.model_copy(update={"bits": bits})


WHOLE = ViewSettings()
RECTANGLES_NAMED = 6


def rectangles_label(rectangles: Sequence[Rectangle]) -> str:
    """What rectangles leave out, for people; the first few where there are many."""
    named = [
        f"{width}x{height} px at x={left} y={top}"
        for left, top, width, height in rectangles[:RECTANGLES_NAMED]
    ]
    if (rest := len(rectangles) - RECTANGLES_NAMED) > 0:
        named.append(f"{rest} more")
    return ", ".join(named) or "nothing"


def seen_again(picture: AnyImage, before: ViewSettings, after: ViewSettings) -> AnyImage:
    """A frame that was cropped by some settings, gray or in colour, as others crop it.

    What was cut off is gone; the nearest rows and columns stand in for it. Raises `SemedgeError`
    where the other settings do not suit the whole frame.
    """
    return _seen_again(picture, before, after)[0]


def frame_again(frame: Frame, before: ViewSettings, after: ViewSettings) -> Frame:
    """A frame that was shown by some settings, as others show it; see `seen_again`."""
    picture, left_out = _seen_again(frame.picture, before, after)
    colours = None if frame.colours is None else picture
    return replace(frame, image=to_gray(picture), colours=colours, left_out=left_out)


def mask_for(shape: tuple[int, ...], mask: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    """A mask of frames of its own height and width, for a picture of this shape; None where it has
    others."""
    return mask if mask is not None and mask.shape == shape[:2] else None


def _seen_again(
    picture: AnyImage, before: ViewSettings, after: ViewSettings
) -> tuple[AnyImage, NDArray[np.bool_] | None]:
    rows = (before.crop_top_px, before.crop_bottom_px)
    columns = (before.crop_left_px, before.crop_right_px)
    channels = ((0, 0),) * (picture.ndim - 2)
    whole = np.pad(picture, (rows, columns, *channels), mode="edge")
    view = FrameView(after)
    left_out = view.left_out((whole.shape[0], whole.shape[1]), after.crops_px)
    return view.cut(whole), left_out


@dataclass
class FrameView:
    """Shows of each frame what is inspected, and warns once of what it may have overlooked.

    Several threads may share one.

    Attributes
    ----------
    settings
        What is inspected.
    """

    settings: ViewSettings = WHOLE
    _left_out: dict[tuple[tuple[int, int], Crops], NDArray[np.bool_]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _bar_warned: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)
    _bits_warned: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    def show(self, frame: Frame) -> Frame:
        """The frame as it is inspected.

        Raises `SemedgeError` where nothing would be left, or a value has too many bits.
        """
        crops, before = self.settings.crops_px, frame.shown
        uncropped: AnyImage | None = None
        if before is None:
            filled = self._filled(frame.image, frame.source)
            colours = frame.colours
            if colours is not None:
                colours = self._scaled(colours, frame.source)
            image, whole = self._cropped(filled, frame.source), frame.image.shape
            if image.shape != filled.shape:
                uncropped = filled if colours is None else colours
            colours = None if colours is None else self.cut(colours)
        else:
            # Its values fill their type already.
            top, bottom, left, right = before.cropped_px
            crops = (
                max(crops[0], top),
                max(crops[1], bottom),
                max(crops[2], left),
                max(crops[3], right),
            )
            further = (crops[0] - top, crops[1] - bottom, crops[2] - left, crops[3] - right)
            image, whole = _cut(frame.image, further), before.whole_px
            colours = None if frame.colours is None else _cut(frame.colours, further)
        whole_px = (int(whole[0]), int(whole[1]))
        return replace(
            frame,
            image=image,
            colours=colours,
            left_out=self.left_out(whole_px, crops),
            pixel_size_um=self.settings.pixel_size_um or frame.pixel_size_um,
            shown=Shown(whole_px, crops),
            whole=uncropped,
        )

    def leave_out_again(self, frame: Frame) -> Frame:
        """A frame that is cropped already, with what these settings leave out of it."""
        if frame.shown is None:
            return frame
        left_out = self.left_out(frame.shown.whole_px, frame.shown.cropped_px)
        return replace(frame, left_out=left_out)

    def crop(self, image: GrayImage, source: str) -> GrayImage:
        """The image filled and cropped; `source` is its name in messages.

        Raises `SemedgeError` where nothing would be left, or a value has too many bits.
        """
        return self._cropped(self._filled(image, source), source)

    def cut(self, picture: NDArray) -> NDArray:
        """The rest of a picture or of its mask, without a search for a bar."""
        return _cut(picture, self.settings.crops_px)

    def left_out(self, shape: tuple[int, int], crops_px: Crops) -> NDArray[np.bool_] | None:
        """Pixels of a whole frame's shape, cropped, that are not inspected; None where all are.

        Raises `SemedgeError` where the mask has another size than the whole frame.
        """
        settings = self.settings
        if not settings.leave_out_px and settings.leave_out_mask is None:
            return None
        key = (shape, crops_px)
        if key not in self._left_out:
            self._left_out[key] = _cut(self._mask(shape), crops_px)
        return self._left_out[key]

    def _mask(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        path = self.settings.leave_out_mask
        mask = np.zeros(shape, bool) if path is None else read_mask(path)
        if mask.shape != shape:
            raise SemedgeError(
                f"leave_out_mask = {path} has {mask.shape[1]}x{mask.shape[0]} px and the frame "
                f"{shape[1]}x{shape[0]} px; give a picture of the whole frame's size."
            )
        for left, top, width, height in self.settings.leave_out_px:
            mask[top : top + height, left : left + width] = True
        return mask

    def _filled(self, image: GrayImage, source: str) -> GrayImage:
        """The image with its white at the white of its type."""
        self._warn_of_bits(image, source)
        return self._scaled(image, source)

    def _scaled(self, picture: NDArray, source: str) -> NDArray:
        try:
            return fill_container(picture, self.settings.bits)
        except ContainerError as error:
            raise SemedgeError(f"{source} {error}; give another number with --bits.") from error

    def _cropped(self, filled: GrayImage, source: str) -> GrayImage:
        cropped: GrayImage = self.cut(filled)
        self._warn_of_bar(cropped, source)
        return cropped

    def _warn_of_bits(self, image: GrayImage, source: str) -> None:
        """Report once that a frame has a white of fewer bits than its type."""
        if self.settings.bits is not None or self._bits_warned.locked():
            return
        bits = unfilled_bits(image)
        if (
            bits is None
            or int(image.max()) < BLACK
            or not self._bits_warned.acquire(blocking=False)
        ):
            return
        logger.warning(
            f"{source} has 16 bits and no value above {(1 << bits) - 1}, so that it is nearly "
            f"black; if these are {bits}-bit values, give --bits {bits} wherever these frames are "
            "used.",
            extra={"event": "few-bits"},
        )

    def _warn_of_bar(self, cropped: GrayImage, source: str) -> None:
        if self._bar_warned.locked():
            return
        # Otherwise all of a nearly black picture would look like the background of a bar.
        seen = fill_container(cropped, unfilled_bits(cropped))
        for edge, rows in (("lower", seen), ("upper", seen[::-1])):
            bar_px = find_information_bar(rows)
            if bar_px and self._bar_warned.acquire(blocking=False):
                option = "bottom" if edge == "lower" else "top"
                cut_px = getattr(self.settings, f"crop_{option}_px")
                logger.warning(
                    f"{source} seems to have an information bar of {bar_px} px at its {edge} "
                    "edge, which would be inspected as material; cut it off with "
                    f"--crop-{option}-px {cut_px + bar_px}, wherever these frames are used.",
                    extra={"event": "information-bar"},
                )


def _cut(picture: NDArray, crops_px: Crops) -> NDArray:
    """The rest of a picture; `SemedgeError` where there is none."""
    top, bottom, left, right = crops_px
    height, width = picture.shape[:2]
    if top + bottom >= height or left + right >= width:
        sides = zip(("top", "bottom", "left", "right"), crops_px, strict=True)
        given = ", ".join(f"crop_{side}_px = {value}" for side, value in sides if value)
        raise SemedgeError(
            f"{given} leaves nothing of a frame of {width}x{height} px; give the height of "
            "the information bar, or the width of the border."
        )
    return picture[top : height - bottom, left : width - right]
