"""The size of a pixel, from each maker's tags to events, health and decision."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from bundles import normal_frames, with_film
from commandcall import Call
from numpy.typing import NDArray
from variants import page, tiff

from semedge.core.images import read_picture
from semedge.decision.defect import DecisionSettings

ZEISS = (
    b"AP_PIXEL_SIZE\r\nPixel Size = 12.5 nm\r\nAP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 3.5 nm\r\n"
)
FEI = b"[User]\r\nDate=1\r\n[Scan]\r\nPixelWidth=3.5e-9\r\nPixelHeight=3.5e-9\r\n"
TESCAN = b"[MAIN]\r\nMagnification=1000\r\nPixelSizeX=3.5e-009\r\n"
OME = (
    b'<OME xmlns="http://www.openmicroscopy.org/">'
    b'<Pixels PhysicalSizeX="3.5" PhysicalSizeXUnit="nm"/></OME>'
)


def write(path: Path, image: NDArray, **tags: object) -> Path:
    path.write_bytes(tiff(page(image[..., None], **tags)))
    return path


@pytest.mark.parametrize(
    "tags",
    [
        {"t34118": ZEISS},
        {"t34682": FEI},
        {"t50431": TESCAN},
        {"t270": OME},
    ],
    ids=["zeiss", "fei", "tescan", "ome"],
)
def test_each_makers_tag_is_read(tmp_path: Path, tags: dict[str, bytes]) -> None:
    path = write(tmp_path / "sem.tif", normal_frames()[0], **tags)
    assert read_picture(path).pixel_size_um == pytest.approx(0.0035)


@pytest.mark.parametrize(
    "settings",
    [
        {"imagej": True, "resolution": (400, 400), "metadata": {"unit": "micron"}},
        {"imagej": True, "resolution": (0.4, 0.4), "metadata": {"unit": "nm"}},
        {"resolution": (4e6, 4e6), "resolutionunit": "CENTIMETER"},
        {"resolution": (72, 72), "resolutionunit": "INCH"},
    ],
)
def test_a_resolution_counts_in_units_of_length_not_of_print(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    tifffile.imwrite(tmp_path / "r.tif", normal_frames()[0], **settings)
    size = read_picture(tmp_path / "r.tif").pixel_size_um
    assert size == (None if settings.get("resolutionunit") == "INCH" else pytest.approx(0.0025))


@pytest.mark.parametrize(
    ("note", "size_um"),
    [
        ("[SemImageFile]\r\nPixelSize=9.9219\r\n", 0.0099219),
        ("$CM_MAG 5000\r\n$$SM_MICRON_BAR 200\r\n$$SM_MICRON_MARKER 1um\r\n", 0.005),
        ("nothing of use", None),
    ],
    ids=["hitachi", "jeol", "other"],
)
def test_a_note_beside_the_picture_is_read(
    tmp_path: Path, note: str, size_um: float | None
) -> None:
    cv2.imwrite(str(tmp_path / "a.bmp"), normal_frames()[0])
    (tmp_path / "a.txt").write_text(note)
    size = read_picture(tmp_path / "a.bmp").pixel_size_um
    assert size == (None if size_um is None else pytest.approx(size_um))


def inspect(
    call: Call, tmp_path: Path, detector: Path, frames: list[Path], *options: object
) -> list:
    folder = tmp_path / f"watched{len(list(tmp_path.iterdir()))}"
    folder.mkdir()
    for path in frames:
        (folder / path.name).write_bytes(path.read_bytes())
    result = call(
        *("watch", "--camera", folder, "--detector", detector, "--calibration", "c.json"),
        *("--journal", f"{folder}.sqlite", "--pictures", f"{folder}.p", "--json", *options),
    )
    assert result.status == 0, result.err
    return [json.loads(line) for line in result.out.splitlines()]


def test_sizes_reach_events_health_and_decision(
    call: Call, tmp_path: Path, tiny_file: Path
) -> None:
    (tmp_path / "normal").mkdir()
    for number, image in enumerate(normal_frames()):
        write(tmp_path / "normal" / f"{number}.tif", image, t34118=ZEISS)
    made = call(
        *("calibrate", "--images", tmp_path / "normal", "--detector", tiny_file, "--out", "c.json"),
        *("--method", "conformal", "--false-alarm-rate", 0.2, "--allow-training-frames"),
    )
    assert made.status == 0, made.err
    assert json.loads(Path("c.json").read_text())["pixel_size_um"] == pytest.approx(0.0035)

    bad = write(tmp_path / "bad.tif", with_film(normal_frames()[0]), t34118=ZEISS)
    start = inspect(call, tmp_path, tiny_file, [bad])[0]
    region = start["regions"][0]
    assert region["width_um"] == pytest.approx(region["width_px"] * 0.0035)
    assert region["area_um2"] == pytest.approx(region["area_px"] * 0.0035**2)

    station = tmp_path / "st.toml"
    longest_um = max(region["width_um"], region["height_um"])
    for smallest_um, events in ((0.5 * longest_um, True), (2 * longest_um, False)):
        station.write_text(f"[decision]\nsmallest_um = {smallest_um}\n")
        found = inspect(call, tmp_path, tiny_file, [bad], "--station", station)
        assert bool(found) == events

    zoomed = ZEISS.replace(b"= 3.5 nm", b"= 7.0 nm")
    other = write(tmp_path / "other.tif", with_film(normal_frames()[0]), t34118=zoomed)
    copies = [other.rename(tmp_path / "other0.tif")]
    for number in (1, 2):
        image = with_film(normal_frames()[number])
        copies.append(write(tmp_path / f"other{number}.tif", image, t34118=zoomed))
    codes = {event["code"] for event in inspect(call, tmp_path, tiny_file, copies)}
    assert codes == {"magnification"}
    # The size in the settings wins over that in the files.
    given = inspect(call, tmp_path, tiny_file, copies, "--pixel-size-um", 0.0035)
    assert {event["kind"] for event in given} == {"defect"}


def test_a_region_without_a_pixel_size_is_the_document_of_before() -> None:
    from semedge.core.event import Region

    region = Region(1, 2, 3, 4, 12, (2, 3), 9.0)
    assert set(region.to_document()) == {
        *("left_px", "top_px", "width_px", "height_px", "area_px", "peak_px", "score")
    }
    assert replace(region).sized(2.0).area_um2 == 48.0
    assert DecisionSettings().smallest_um is None
    assert np.isfinite(region.score)
