"""Uncompressed zip archives, read without trust in their content."""

from __future__ import annotations

import contextlib
import io
import re
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

EPOCH = (1980, 1, 1, 0, 0, 0)

UNREADABLE = (
    *(zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError, ValueError, EOFError),
    *(struct.error, OverflowError),
)
"""What Python's reader raises on damaged archives."""


@dataclass(frozen=True)
class ArchiveKind:
    """What an archive of this kind may contain.

    Attributes
    ----------
    member_name
        Pattern of the names that its files may have.
    most_members, most_member_bytes
        Largest number of files, and largest size of each.
    """

    member_name: re.Pattern[str]
    most_members: int
    most_member_bytes: int


def pack(contents: Mapping[str, bytes]) -> bytes:
    """An archive of the files in this order; the same content gives the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content)
    return buffer.getvalue()


def unpack(
    content: bytes | BinaryIO, kind: ArchiveKind, damaged: Callable[[str], Exception]
) -> dict[str, bytes]:
    """The files of an archive, by name; raises `damaged(reason)` where it is not of the kind."""
    with opened(content, kind, damaged) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@contextlib.contextmanager
def opened(
    content: bytes | BinaryIO, kind: ArchiveKind, damaged: Callable[[str], Exception]
) -> Iterator[zipfile.ZipFile]:
    """An archive of the kind, whose files are read one by one; raises like `unpack`."""
    try:
        with zipfile.ZipFile(
            io.BytesIO(content) if isinstance(content, bytes) else content
        ) as archive:
            _check(archive, kind, damaged)
            yield archive
    except UNREADABLE as error:
        raise damaged("not a complete zip archive") from error


def _check(
    archive: zipfile.ZipFile, kind: ArchiveKind, damaged: Callable[[str], Exception]
) -> None:
    infos = archive.infolist()
    if len(infos) > kind.most_members:
        raise damaged(f"{len(infos)} files are more than the {kind.most_members} allowed")
    seen: set[str] = set()
    for info in infos:
        if not kind.member_name.fullmatch(info.filename):
            raise damaged(f"a file is named {info.filename!r}")
        if info.filename in seen:
            raise damaged(f"{info.filename} is contained twice")
        if info.compress_type != zipfile.ZIP_STORED or info.file_size > kind.most_member_bytes:
            raise damaged(f"{info.filename} is compressed or too large")
        seen.add(info.filename)
