"""When a picture was taken: what its file states, where that can be."""

from __future__ import annotations

import io
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from semedge.cameras import CameraSettings, open_camera
from semedge.core.capture_time import stated_time_s, time_in_tags
from semedge.core.images import decode_picture, read_picture

GRAY = np.arange(48 * 64, dtype=np.uint8).reshape(48, 64)
DATE_TIME, EXIF, ORIGINAL, OFFSET, OFFSET_ORIGINAL = 306, 34665, 36867, 36880, 36881
SUBSECONDS, SUBSECONDS_ORIGINAL = 37520, 37521
TAKEN = "2024:05:06 07:08:09"
TAKEN_S = datetime(2024, 5, 6, 7, 8, 9, tzinfo=timezone.utc).timestamp()
LOCAL_S = datetime(2024, 5, 6, 7, 8, 9).timestamp()


def picture(kind: str, tags: dict[int, str], exif: dict[int, str]) -> bytes:
    """A picture file with these texts in its first block of tags and in that of EXIF."""
    file = io.BytesIO()
    if kind == "TIFF":
        written = TiffImagePlugin.ImageFileDirectory_v2()
        for tag, value in {**tags, **({EXIF: exif} if exif else {})}.items():
            written[tag] = value
        Image.fromarray(GRAY).save(file, kind, tiffinfo=written)
        return file.getvalue()
    block = Image.Exif()
    for tag, text in tags.items():
        block[tag] = text
    for tag, text in exif.items():
        block.get_ifd(EXIF)[tag] = text
    Image.fromarray(GRAY).save(file, kind, exif=block.tobytes())
    return file.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "TIFF"])
@pytest.mark.parametrize(
    ("tags", "exif", "expected_s"),
    [
        ({}, {}, None),
        ({}, {ORIGINAL: TAKEN, OFFSET_ORIGINAL: "+00:00"}, TAKEN_S),
        (
            {},
            {ORIGINAL: TAKEN, OFFSET_ORIGINAL: "+02:00", SUBSECONDS_ORIGINAL: "125"},
            TAKEN_S - 7200 + 0.125,
        ),
        ({}, {ORIGINAL: TAKEN, OFFSET_ORIGINAL: "-09:30"}, TAKEN_S + 9.5 * 3600),
        ({}, {ORIGINAL: TAKEN, OFFSET_ORIGINAL: "Z"}, TAKEN_S),
        ({}, {ORIGINAL: TAKEN}, LOCAL_S),
        ({DATE_TIME: TAKEN}, {}, LOCAL_S),
        ({DATE_TIME: TAKEN}, {OFFSET: "+01:00", SUBSECONDS: "5"}, TAKEN_S - 3600 + 0.5),
        ({DATE_TIME: "2025:01:01 00:00:00"}, {ORIGINAL: TAKEN}, LOCAL_S),
        ({DATE_TIME: TAKEN}, {ORIGINAL: "0000:00:00 00:00:00"}, LOCAL_S),
    ],
)
def test_what_a_file_states_is_read(
    kind: str, tags: dict[int, str], exif: dict[int, str], expected_s: float | None
) -> None:
    found = decode_picture(picture(kind, tags, exif), "the file").captured_at_s
    assert found == (None if expected_s is None else pytest.approx(expected_s, abs=1e-6))


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "0000:00:00 00:00:00", "    :  :     :  :  ", "soon", "2024:05:06"),
        *("2024:02:30 01:01:01", "2024:13:01 01:01:01", "2024:05:06 24:00:00"),
        *("2024:05:06 07:08:60", "1970:01:01 00:00:00", "1980:01:01 00:00:00"),
        *("9999:12:31 23:59:59", "-024:05:06 07:08:09"),
        pytest.param(
            (datetime.now(timezone.utc) + timedelta(days=2)).strftime("%Y:%m:%d %H:%M:%S"),
            id="in two days",
        ),
    ],
)
def test_what_cannot_be_is_ignored(kind: str, text: str) -> None:
    assert decode_picture(picture(kind, {DATE_TIME: text}, {}), "it").captured_at_s is None
    both = picture(kind, {DATE_TIME: TAKEN}, {ORIGINAL: text})
    assert decode_picture(both, "it").captured_at_s == LOCAL_S


@pytest.mark.parametrize(
    ("text", "offset", "expected_s"),
    [
        ("2024-05-06T07:08:09", "+00:00", TAKEN_S),
        ("2024/05/06 07:08:09", "+0000", TAKEN_S),
        ("2024:05:06 07:08:09.25", "+00:00", TAKEN_S + 0.25),
        ("2024:05:06 07:08:09", "somewhere", LOCAL_S),
        ("2024:05:06 07:08:09", "+99:00", None),
    ],
)
def test_other_ways_to_write_a_time(text: str, offset: str, expected_s: float | None) -> None:
    content = picture("JPEG", {}, {ORIGINAL: text, OFFSET_ORIGINAL: offset})
    assert decode_picture(content, "it").captured_at_s == expected_s


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_pages_have_times_of_their_own(tmp_path: Path, bigtiff: bool, byteorder: str) -> None:
    path = tmp_path / "stack.tif"
    with tifffile.TiffWriter(path, bigtiff=bigtiff, byteorder=byteorder) as stack:  # type: ignore[arg-type]
        for minute in (1, 2, None):
            when = None if minute is None else datetime(2024, 5, 6, 7, minute)
            stack.write(GRAY, datetime=when, photometric="minisblack", metadata=None)
    first_s, second_s, third_s = (
        read_picture(f"{path}#{number}").captured_at_s for number in (1, 2, 3)
    )
    assert first_s == datetime(2024, 5, 6, 7, 1).timestamp()
    assert second_s == first_s + 60
    assert third_s == first_s, "a page without a time has that of the first"


@settings(max_examples=300, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["JPEG", "PNG", "WebP"]))
def test_damaged_tags_end_in_a_time_or_in_none(data: st.DataObject, kind: str) -> None:
    content = bytearray(picture(kind, {DATE_TIME: TAKEN}, {ORIGINAL: TAKEN, SUBSECONDS: "1"}))
    for _ in range(data.draw(st.integers(1, 12))):
        at = data.draw(st.integers(0, min(len(content), 300) - 1))
        content[at] = data.draw(st.integers(0, 255))
    length = data.draw(st.integers(0, len(content)))
    for found in (
        stated_time_s(bytes(content[:length])),
        time_in_tags(bytes(content[:length]), data.draw(st.integers(0, 2**64))),
    ):
        assert found is None or 0 < found <= time.time()


@pytest.mark.parametrize("follow", [False, True])
def test_frames_of_a_folder_have_the_times_of_their_files(tmp_path: Path, follow: bool) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number, taken in enumerate([TAKEN, "2024:05:06 07:08:07", "never"]):
        path = folder / f"{number}.jpg"
        path.write_bytes(picture("JPEG", {}, {ORIGINAL: taken}))
    settings_ = CameraSettings(follow=follow)
    with open_camera(str(folder), settings=settings_, timeout_s=10) as camera:
        times_s = [next(camera).captured_at_s for _ in range(3)]
    assert sorted(times_s[:2]) == [LOCAL_S - 2, LOCAL_S]
    assert times_s[2] == pytest.approx(time.time(), abs=60)
