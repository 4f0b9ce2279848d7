"""When a picture was taken, as its file states it in EXIF or in the tags of a TIFF."""

from __future__ import annotations

import re
import struct
import time
from datetime import datetime, timedelta, timezone

from semedge.core.white import PNG, PngError, png_chunks

DATE_TIME, EXIF = 306, 34665
ORIGINAL, OFFSET, OFFSET_ORIGINAL, SUBSECONDS, SUBSECONDS_ORIGINAL = (
    *(36867, 36880, 36881),
    *(37520, 37521),
)
ASCII, LONG, LONG_8 = 2, 4, 16
LONGEST_TEXT_BYTES, MOST_TAGS = 64, 1_000
EARLIEST_YEAR = 1990
"""Clocks that were never set show an earlier one."""

EXIF_HEADER = b"Exif\0\0"
BIG = {b"II+\0": "<", b"MM\0+": ">"}
CLASSIC = {b"II*\0": "<", b"MM\0*": ">"}
TIME = re.compile(rb"(\d{4})[:/.-](\d\d)[:/.-](\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?")
ZONE = re.compile(rb"([+-])(\d\d):?(\d\d)|Z")


def stated_time_s(content: bytes) -> float | None:
    """When the picture in a JPEG, PNG or WebP was taken, in seconds since the Unix epoch.

    None where the file does not say it, or what it says cannot be: a date that does not exist, that
    lies in the future, or before 1990. A time without a zone is one of this machine's.
    """
    block = _exif_in(content).removeprefix(EXIF_HEADER)
    order = CLASSIC.get(block[:4])
    if order is None or len(block) < 8:
        return None
    return time_in_tags(block, struct.unpack_from(f"{order}I", block, 4)[0])


def time_in_tags(content: bytes, at: int) -> float | None:
    """The same of a page of a TIFF, whose tags begin `at` this byte."""
    tags = _tags_at(content, at)
    pointer = tags.get(EXIF)
    exif = _tags_at(content, pointer) if isinstance(pointer, int) else {}
    taken_s = _seconds(exif, ORIGINAL, SUBSECONDS_ORIGINAL, OFFSET_ORIGINAL)
    if taken_s is not None:
        return taken_s
    return _seconds({**exif, **tags}, DATE_TIME, SUBSECONDS, OFFSET)


def _exif_in(content: bytes) -> bytes:
    """The block of EXIF in a file; empty where there is none."""
    if content.startswith(b"\xff\xd8"):
        return _exif_of_jpeg(content)
    if content.startswith(PNG):
        try:
            return next((data for kind, data in png_chunks(content) if kind == b"eXIf"), b"")
        except PngError:
            return b""
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        at = 12
        while len(content) >= at + 8:
            kind, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
            if kind == b"EXIF":
                return content[at + 8 : at + 8 + size]
            at += 8 + size + size % 2
    return b""


def _exif_of_jpeg(content: bytes) -> bytes:
    at = 2
    # Segments with a length, up to the picture itself.
    while len(content) >= at + 4 and content[at] == 0xFF and content[at + 1] != 0xDA:
        marker, size = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        data = content[at + 4 : at + 2 + size]
        if marker == 0xE1 and data.startswith(EXIF_HEADER):
            return data
        at += 2 + max(size, 2)
    return b""


def _tags_at(content: bytes, at: int) -> dict[int, bytes | int]:
    """Texts and numbers of 32 bits and more, by tag; those that are damaged are left out."""
    is_big = content[:4] in BIG
    order = BIG.get(content[:4]) or CLASSIC.get(content[:4]) or "<"
    head, entry = (f"{order}Q", f"{order}HHQ8s") if is_big else (f"{order}H", f"{order}HHI4s")
    tags: dict[int, bytes | int] = {}
    if at >= len(content):
        return tags
    try:
        (count,) = struct.unpack_from(head, content, at)
        at += struct.calcsize(head)
        for _ in range(min(count, MOST_TAGS)):
            tag, kind, length, value = struct.unpack_from(entry, content, at)
            at += struct.calcsize(entry)
            number = int.from_bytes(value, "little" if order == "<" else "big")
            if kind == ASCII and length > len(value):
                tags[tag] = content[number : number + min(length, LONGEST_TEXT_BYTES)]
            elif kind == ASCII:
                tags[tag] = value[:length]
            elif kind in (LONG, LONG_8):
                short = value if kind == LONG_8 else value[:4]
                tags[tag] = int.from_bytes(short, "little" if order == "<" else "big")
    except struct.error:
        pass
    return tags


def _seconds(
    tags: dict[int, bytes | int], stated: int, subseconds: int, offset: int
) -> float | None:
    """Seconds since the Unix epoch by the texts of three tags; None where they say none."""
    texts = [tags.get(tag) for tag in (stated, subseconds, offset)]
    text, fraction, zone = (each if isinstance(each, bytes) else b"" for each in texts)
    found = TIME.match(text)
    if found is None:
        return None
    digits = found[7] or re.match(rb"\d*", fraction)[0]  # type: ignore[index]  # always matches
    try:
        year, month, day, hour, minute, second = (int(found[at]) for at in range(1, 7))
        moment = datetime(year, month, day, hour, minute, second)
        if (known := ZONE.match(zone)) is not None:
            moment = moment.replace(tzinfo=_zone(known))
        time_s = moment.timestamp() + float(f"0.{digits.decode() or 0}")
    except (ValueError, OverflowError, OSError):
        return None
    return time_s if moment.year >= EARLIEST_YEAR and time_s <= time.time() else None


def _zone(found: re.Match[bytes]) -> timezone:
    if found[1] is None:
        return timezone.utc
    minutes = 60 * int(found[2]) + int(found[3])
    return timezone(timedelta(minutes=-minutes if found[1] == b"-" else minutes))
