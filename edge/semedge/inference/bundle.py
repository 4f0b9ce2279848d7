"""The detector bundle `*.semedge`: read, verified and written; none of its content is executed."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from semedge.core.errors import SemedgeError
from semedge.core.files import read_bounded, write_atomically
from semedge.core.frame import GrayImage
from semedge.core.zip_file import ArchiveKind, pack, unpack
from semedge.inference.manifest import FORMAT_VERSIONS, Manifest, Member

MANIFEST = "manifest.json"
BUNDLE = ArchiveKind(
    member_name=re.compile(r"manifest\.json|[a-z][a-z0-9_]{0,63}\.(tflite|npy)"),
    most_members=32,
    most_member_bytes=128 * 2**20,
)
MAX_BUNDLE_BYTES = 256 * 2**20
REMEDY = "copy it again from where it was exported, or export it again"


@dataclass(frozen=True)
class Bundle:
    """A verified bundle in memory.

    Attributes
    ----------
    name
        Its name in messages: its path, or "the demo detector".
    sha256
        Digest of the whole file, which a calibration refers to.
    manifest
        What it computes, and how it was made.
    members
        Content of each file beside the manifest.
    """

    name: str
    sha256: str
    manifest: Manifest
    members: Mapping[str, bytes]

    def graph(self, name: str) -> bytes:
        """Content of a TFLite graph."""
        return self.members[f"{name}.tflite"]

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Constants that the scores use, by name."""
        return {
            name.removesuffix(".npy"): _array(content, self.name)
            for name, content in self.members.items()
            if name.endswith(".npy")
        }


def frame_sha256(image: GrayImage) -> str:
    """Digest of a frame's pixels, independent of the format of its file."""
    header = f"{image.dtype.str} {image.shape}".encode()
    return hashlib.sha256(header + np.ascontiguousarray(image).tobytes()).hexdigest()


def array_content(array: NDArray[np.float32]) -> bytes:
    """Content of the member that holds `array`."""
    buffer = io.BytesIO()
    np.save(buffer, array.astype(np.float32), allow_pickle=False)
    return buffer.getvalue()


def members_of(contents: Mapping[str, bytes]) -> dict[str, Member]:
    """The manifest's record of each file."""
    return {
        name: Member(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
        for name, content in contents.items()
    }


def write_bundle(path: Path, manifest: Manifest, contents: Mapping[str, bytes]) -> None:
    """Write a bundle; the same content gives the same bytes."""
    write_atomically(path, bundle_content(manifest, contents))


def bundle_content(manifest: Manifest, contents: Mapping[str, bytes]) -> bytes:
    """The bytes of a bundle."""
    files = {MANIFEST: manifest.model_dump_json(indent=1, exclude_none=True).encode()}
    return pack(files | dict(sorted(contents.items())))


def demo_content() -> bytes:
    """Bytes of the detector that ships with semedge, trained on simulated fibres."""
    return package_files("semedge").joinpath("data/demo.semedge").read_bytes()


def read_demo_bundle() -> Bundle:
    """The detector that ships with semedge."""
    return parse_bundle(demo_content(), "the demo detector")


def read_bundle(path: Path) -> Bundle:
    """Read and verify a bundle; `SemedgeError` where something is wrong with it."""
    return parse_bundle(read_content(path), str(path))


def read_content(path: Path) -> bytes:
    """The unverified bytes of a bundle; `SemedgeError` where they cannot be read."""
    return read_bounded(
        Path(path),
        MAX_BUNDLE_BYTES,
        unreadable=lambda reason: (
            f"The detector {path} cannot be read ({reason}); give the path of a bundle that "
            "`semedge export` wrote."
        ),
        too_large=lambda size_bytes: str(
            _damaged(str(path), f"{size_bytes} bytes are too many for a detector")
        ),
    )


def parse_bundle(content: bytes, name: str) -> Bundle:
    """Verify the bytes of a bundle."""
    return parse_bundle_file(io.BytesIO(content), name, hashlib.sha256(content).hexdigest())


def parse_bundle_file(file: BinaryIO, name: str, sha256: str) -> Bundle:
    """Verify a bundle, whose files are read one by one; `sha256` is its digest."""
    raw = unpack(file, BUNDLE, lambda reason: _damaged(name, reason))
    manifest = _parse_manifest(raw.pop(MANIFEST, None), name)
    if set(raw) != set(manifest.members):
        unmatched = sorted(set(raw) ^ set(manifest.members))
        raise _damaged(name, f"the files {unmatched} are not both listed and present")
    for member_name, member in manifest.members.items():
        if hashlib.sha256(raw[member_name]).hexdigest() != member.sha256:
            raise _damaged(name, f"the digest of {member_name} differs from the manifest's")
        if member_name.endswith(".npy"):
            _array(raw[member_name], name)
    return Bundle(name, sha256, manifest, raw)


def _parse_manifest(text: bytes | None, name: str) -> Manifest:
    if text is None:
        raise _damaged(name, "it has no manifest.json")
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if where == "format_version" and first["type"] == "literal_error":
            raise SemedgeError(
                f"The detector {name} has format version {first['input']!r}, and this semedge "
                f"reads versions {', '.join(map(str, FORMAT_VERSIONS))}; export it with this "
                "version of semedge."
            ) from error
        raise _damaged(name, f"manifest {where}: {first['msg']}") from error
    except UnicodeDecodeError as error:
        raise _damaged(name, "the manifest is not UTF-8") from error


def _array(content: bytes, name: str) -> NDArray[np.float32]:
    try:
        array: NDArray[np.float32] = np.load(io.BytesIO(content), allow_pickle=False)
    except Exception as error:  # NumPy's reader raises many kinds of errors for a hostile header
        raise _damaged(name, "an array cannot be read") from error
    if array.dtype != np.float32 or not np.isfinite(array).all():
        raise _damaged(name, "an array is not of finite float32 values")
    return array


def _damaged(name: str, reason: str) -> SemedgeError:
    return SemedgeError(
        f"The detector {name} is damaged or not a semedge bundle: {reason}; {REMEDY}."
    )
