"""Collected frames: lossless files, with the time and the source of each."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from semedge.core.errors import SemedgeError
from semedge.core.files import write_atomically
from semedge.core.frame import Frame
from semedge.core.images import read_mask, read_picture
from semedge.core.view import FrameView, ViewSettings, mask_for

SIDECAR = "frames.jsonl"
LEFT_OUT = "left-out.png"
"""Mask of what is not inspected of the frames, which are cropped already."""
PNG_COMPRESSION = 1
SPARE_BYTES = 256 * 2**20
"""Space that is left free on the disk."""


@dataclass(frozen=True)
class StoredFrame:
    """A frame in a folder.

    Attributes
    ----------
    file
        Name of its file in the folder.
    source
        Its name in messages: the file that it was read from, or the camera's address.
    captured_at_s
        Time of capture, seconds since the Unix epoch.
    sequence
        Position in the camera's stream.
    pixel_size_um
        Size of a pixel on the specimen, where it was known.
    """

    file: str
    source: str
    captured_at_s: float
    sequence: int
    pixel_size_um: float | None = None


class FrameStore(Sequence[Frame]):
    """A folder of frames, each a PNG file of full bit depth; only one frame is in memory at a time.

    A frame counts once its line is in `frames.jsonl`, so that a process that is killed loses only
    the frame that it was writing. A frame whose file is deleted does not count.

    Parameters
    ----------
    folder
        New or empty, or one that was begun for the same camera.
    camera
        Where the frames come from, without passwords.

    Attributes
    ----------
    entries
        What is known of each frame.
    left_out
        True where frames of its shape are not inspected; None where everything is. It is that of
        the frame that was added last, since it changes nothing of the stored pictures.
    """

    def __init__(self, folder: Path, camera: str) -> None:
        self.folder = folder
        self.camera = camera
        self._following = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.entries = self._read_entries()
            mask = folder / LEFT_OUT
            self.left_out = read_mask(mask) if mask.exists() else None
        except OSError as error:
            raise SemedgeError(
                f"The folder {folder} for the frames cannot be used ({error.strerror}); give "
                "another one."
            ) from error

    def add(self, frame: Frame, *, still_to_come: int = 0) -> None:
        """Write a frame; `SemedgeError` where the disk has no space for it and those to come."""
        self._check_space(frame.picture.nbytes * (1 + still_to_come))
        name = f"{self._following:06d}.png"
        encoded, content = cv2.imencode(
            ".png", frame.picture, [cv2.IMWRITE_PNG_COMPRESSION, PNG_COMPRESSION]
        )
        assert encoded  # every frame can be written as PNG
        entry = StoredFrame(
            name, frame.source, frame.captured_at_s, frame.sequence, frame.pixel_size_um
        )
        self.leave_out(frame.left_out)
        write_atomically(self.folder / name, content.tobytes())
        try:
            with (self.folder / SIDECAR).open("a", encoding="utf-8") as sidecar:
                sidecar.write(json.dumps({"camera": self.camera, **vars(entry)}) + "\n")
        except OSError as error:
            raise SemedgeError(
                f"{self.folder / SIDECAR} cannot be written ({error.strerror}); free some space or "
                "choose another folder. The frames written before it are kept."
            ) from error
        self.entries.append(entry)
        self._following += 1

    def leave_out(self, left_out: NDArray[np.bool_] | None) -> None:
        """Inspect every frame of the mask's shape, those before too, without its pixels."""
        before, self.left_out = self.left_out, left_out
        if left_out is None:
            if before is not None:
                (self.folder / LEFT_OUT).unlink(missing_ok=True)
        elif before is None or not np.array_equal(before, left_out):
            _, mask = cv2.imencode(".png", left_out.astype(np.uint8) * 255)
            write_atomically(self.folder / LEFT_OUT, mask.tobytes())

    def view_by(self, settings: ViewSettings) -> None:
        """Leave out what these settings do, which the frames were cropped by; none where empty."""
        if len(self):
            top, bottom, left, right = settings.crops_px
            height, width = self[0].shape
            whole = (height + top + bottom, width + left + right)
            self.leave_out(FrameView(settings).left_out(whole, settings.crops_px))

    def remove(self) -> None:
        """Delete the folder and every frame in it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Frame:  # type: ignore[override]  # no slices
        entry = self.entries[index]
        picture = read_picture(self.folder / entry.file)
        return Frame(
            picture.image,
            entry.sequence,
            entry.captured_at_s,
            entry.source,
            left_out=mask_for(picture.image.shape, self.left_out),
            pixel_size_um=entry.pixel_size_um,
            colours=picture.colours,
        )

    def __iter__(self) -> Iterator[Frame]:
        return (self[index] for index in range(len(self)))

    def _read_entries(self) -> list[StoredFrame]:
        sidecar = self.folder / SIDECAR
        if not sidecar.exists():
            if any(self.folder.iterdir()):
                raise SemedgeError(
                    f"The folder {self.folder} has files already; give a new or an empty folder."
                )
            sidecar.touch()
            return []
        entries, kept = [], []
        lines = sidecar.read_text(encoding="utf-8").splitlines()
        for line in lines:
            entry = self._parsed(line)
            if entry is None:
                break
            self._following = int(Path(entry.file).stem) + 1
            if (self.folder / entry.file).is_file():
                entries.append(entry)
                kept.append(line)
        # What an interruption left behind is cut off, so that lines can be appended again.
        if len(kept) < len(lines):
            write_atomically(sidecar, "".join(f"{line}\n" for line in kept).encode())
        return entries

    def _parsed(self, line: str) -> StoredFrame | None:
        try:
            values: dict[str, Any] = json.loads(line)
            camera = values.pop("camera")
            entry = StoredFrame(**values)
            int(Path(entry.file).stem)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None
        if camera != self.camera:
            raise SemedgeError(
                f"The folder {self.folder} has frames of {camera}, not of {self.camera}; give "
                "another folder."
            )
        return entry

    def _check_space(self, needed_bytes: int) -> None:
        free_bytes = shutil.disk_usage(self.folder).free
        if free_bytes < needed_bytes + SPARE_BYTES:
            raise SemedgeError(
                f"The disk of {self.folder} has {free_bytes / 2**20:,.0f} MiB free, and the frames "
                f"may need {(needed_bytes + SPARE_BYTES) / 2**20:,.0f} MiB; free some space, or "
                "take fewer frames."
            )


def stored_camera(folder: Path) -> str | None:
    """The camera whose frames a folder has; None where it has no collected frames."""
    try:
        with (folder / SIDECAR).open(encoding="utf-8") as sidecar:
            return str(json.loads(sidecar.readline())["camera"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def link_frames(source: Path, folder: Path) -> None:
    """Give a new folder the frames of another one, by links where possible, else as copies.

    The sidecar comes last, so that an interrupted call is repeated. Raises `SemedgeError` where the
    folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(source.glob("*.png")):
            target = folder / path.name
            if target.exists():
                continue
            try:
                os.link(path, target)
            except OSError:
                # Another disk, or one without links.
                write_atomically(target, path.read_bytes())
        write_atomically(folder / SIDECAR, (source / SIDECAR).read_bytes())
    except OSError as error:
        raise SemedgeError(
            f"The frames in {source} could not be copied to {folder} ({error.strerror}); free some "
            "space, or correct the permissions."
        ) from error
