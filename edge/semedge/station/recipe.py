"""The recipe: detector, calibration, camera settings and decision in one file with digests."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal, cast

from pydantic import Field, ValidationError

from semedge.cameras import CameraSettings
from semedge.cameras.settings import AS_IT_IS
from semedge.core.errors import SemedgeError
from semedge.core.files import write_atomically
from semedge.core.frame import GrayImage
from semedge.core.zip_file import ArchiveKind, opened, pack
from semedge.decision.calibration_file import MAX_FILE_BYTES, parse_calibration
from semedge.decision.defect import DecisionSettings
from semedge.inference.bundle import MAX_BUNDLE_BYTES, Bundle, parse_bundle_file
from semedge.inference.detector import Detector
from semedge.inference.graph_check import check_graphs
from semedge.inference.record import Record
from semedge.station.camera_setup import RecipeIdentity
from semedge.station.config.faults import key_hint, refused_value
from semedge_calibration import Calibration

FORMAT_VERSION = 1
SUFFIX = ".recipe"
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$"
FRAME_DECISION = DecisionSettings()
MANIFEST, DETECTOR, CALIBRATION = "recipe.json", "detector.semedge", "calibration.json"
ARCHIVE = ArchiveKind(
    member_name=re.compile("|".join(map(re.escape, (MANIFEST, DETECTOR, CALIBRATION)))),
    most_members=3,
    most_member_bytes=MAX_BUNDLE_BYTES,
)
PIECE_BYTES = 2**20
MAX_RECIPE_BYTES = MAX_BUNDLE_BYTES + 2 * MAX_FILE_BYTES
REMEDY = "copy it again from where it was made, or make it again with `semedge recipe make`"


class RecipeManifest(Record):
    """The recipe's own record, `recipe.json` in the file."""

    format_version: Literal[1]
    name: str = Field(pattern=NAME)
    version: int = Field(ge=1, lt=2**31)
    note: str = Field(default="", max_length=1000)
    created_at: str
    detector_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    calibration_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    stride_px: int | None = Field(default=None, ge=1)
    decision: DecisionSettings = FRAME_DECISION
    camera: CameraSettings = AS_IT_IS


@dataclass(frozen=True)
class Recipe:
    """A verified recipe in memory.

    Attributes
    ----------
    path
        The file.
    sha256
        Digest of the whole file.
    manifest
        The recipe's own record.
    bundle, calibration_content
        The detector, and the content of the calibration's file.
    """

    path: Path
    sha256: str
    manifest: RecipeManifest
    bundle: Bundle
    calibration_content: bytes

    @property
    def identity(self) -> RecipeIdentity:
        """Name, version and digest."""
        return RecipeIdentity(self.manifest.name, self.manifest.version, self.sha256)

    def load(
        self, workers: int | None = None, image: GrayImage | None = None
    ) -> tuple[Detector, Calibration]:
        """The loaded detector and its calibration; `SemedgeError` where they do not match.

        A child process runs the graphs first, on `image` or on a blank frame.
        """
        check_graphs(self.bundle, stride_px=self.manifest.stride_px, image=image)
        detector = Detector(self.bundle, stride_px=self.manifest.stride_px, workers=workers)
        try:
            name = f"The calibration in the recipe {self.path}"
            calibration = parse_calibration(self.calibration_content, name, detector)
            self.manifest.decision.levels(calibration.threshold)
        except BaseException:
            detector.close()
            raise
        return detector, calibration


def write_recipe(path: Path, manifest: RecipeManifest, detector: bytes, calibration: bytes) -> None:
    """Write a recipe of these files; the same content gives the same bytes."""
    contents = {
        MANIFEST: manifest.model_dump_json(indent=1).encode(),
        DETECTOR: detector,
        CALIBRATION: calibration,
    }
    write_atomically(path, pack(contents))


def check_name(name: str) -> None:
    """`SemedgeError` where a recipe cannot have this name."""
    if not re.match(NAME, name):
        raise SemedgeError(
            "The recipe's name must begin with a letter or a digit and have at most 60 letters, "
            f"digits, dots, dashes or underscores. Received: {name!r}"
        )


def make_recipe(
    path: Path,
    name: str,
    detector: bytes,
    calibration: bytes,
    *,
    version: int = 1,
    note: str = "",
    stride_px: int | None = None,
    decision: DecisionSettings = FRAME_DECISION,
    camera: CameraSettings = AS_IT_IS,
) -> tuple[Recipe, Calibration]:
    """Write a recipe, once it was seen to load; `SemedgeError` where it does not."""
    document: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "name": name,
        "version": version,
        "note": note,
        "created_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "detector_sha256": hashlib.sha256(detector).hexdigest(),
        "calibration_sha256": hashlib.sha256(calibration).hexdigest(),
        "stride_px": stride_px,
        "decision": decision,
        "camera": camera,
    }
    try:
        manifest = RecipeManifest.model_validate(document)
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(str(part) for part in fault["loc"])
        raise SemedgeError(f"The recipe's {refused_value(key, fault)}") from error
    written = path.with_name(f".{path.name}.making")
    try:
        write_recipe(written, manifest, detector, calibration)
        made = read_recipe(written)
        loaded, calibration_read = made.load(workers=1)
        loaded.close()
        written.replace(path)
    finally:
        written.unlink(missing_ok=True)
    return replace(made, path=path), calibration_read


def read_recipe(path: Path) -> Recipe:
    """Read and verify a recipe; `SemedgeError` where something is wrong with it."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            if size_bytes > MAX_RECIPE_BYTES:
                raise _damaged(path, f"{size_bytes} bytes are too many for a recipe")
            return _read(path, file)
    except OSError as error:
        raise SemedgeError(
            f"The recipe {path} cannot be read ({error.strerror}); give the path of a file that "
            "`semedge recipe make` wrote."
        ) from error


def _read(path: Path, file: BinaryIO) -> Recipe:
    """Verify a recipe; its large member, the detector, is never in memory as a whole."""
    sha256 = _digest(file)
    with opened(file, ARCHIVE, lambda reason: _damaged(path, reason)) as archive:
        if missing := sorted({MANIFEST, DETECTOR, CALIBRATION} - set(archive.namelist())):
            raise _damaged(path, f"it has no {missing[0]}")
        manifest = _parse_manifest(archive.read(MANIFEST), path)
        calibration = archive.read(CALIBRATION)
        with archive.open(DETECTOR) as detector:
            digests = {
                DETECTOR: (_digest(detector), manifest.detector_sha256),
                CALIBRATION: (
                    hashlib.sha256(calibration).hexdigest(),
                    manifest.calibration_sha256,
                ),
            }
            for name, (found, expected) in digests.items():
                if found != expected:
                    raise _damaged(path, f"the digest of {name} differs from the recipe's")
            bundle = parse_bundle_file(
                cast(BinaryIO, detector), f"in the recipe {path}", manifest.detector_sha256
            )
    return Recipe(path, sha256, manifest, bundle, calibration)


def _digest(file: IO[bytes]) -> str:
    """The digest of a file, which is read in pieces; it is at its start afterwards."""
    digest = hashlib.sha256()
    file.seek(0)
    while piece := file.read(PIECE_BYTES):
        digest.update(piece)
    file.seek(0)
    return digest.hexdigest()


def recipes_in(folder: Path) -> list[Path]:
    """The recipe files of a folder, by name; `OSError` where it cannot be read."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.name.endswith(SUFFIX))
    return [path for name in names if (path := folder / name).is_file()]


def _parse_manifest(content: bytes, path: Path) -> RecipeManifest:
    try:
        return RecipeManifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if where == "format_version" and first["type"] == "literal_error":
            raise SemedgeError(
                f"The recipe {path} has format version {first['input']!r:.40}, and this semedge "
                f"reads version {FORMAT_VERSION}; make it with this version of semedge."
            ) from error
        reason = first["msg"]
        if first["type"] == "extra_forbidden":
            reason += f"; {key_hint(where.split('.'), RecipeManifest).rstrip('.')}"
        raise _damaged(path, f"recipe.json {where}: {reason}") from error


def _damaged(path: Path, reason: str) -> SemedgeError:
    return SemedgeError(f"The recipe {path} is damaged or not a recipe: {reason}; {REMEDY}.")
