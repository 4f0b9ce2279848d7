"""docs/how-to/new-camera.md: its example is installed as a package, and inspects as shown."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from commandcall import Call
from pages import blocks, install

from semedge.cameras import open_camera
from semedge.cameras.base import CameraStalledError
from semedge.cameras.settings import CameraSettings
from semedge.cameras.simulation import SimulatedLine
from semedge.core.errors import SemedgeError
from semedge.core.frame import GrayImage
from semedge.inference.overlay import encode_png

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PAGE = "how-to/new-camera.md"


@pytest.fixture
def incoming(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the page's camera, which is installed."""
    (toml,), (source,) = blocks(PAGE, "toml"), blocks(PAGE, "python")
    project = tomllib.loads(toml)
    (module,) = project["tool"]["setuptools"]["py-modules"]
    install(site, project["project"], {module: source})
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "incoming"
    folder.mkdir()
    return folder


def image_of(number: int, defect_rate: float = 0.0) -> GrayImage:
    return SimulatedLine(7, shape=(96, 128), defect_rate=defect_rate).frame(number).image


def put(path: Path, image: GrayImage) -> None:
    """Write a picture as a careful program does: whole at once."""
    part = path.with_suffix(".part")
    part.write_bytes(encode_png(image))
    part.rename(path)


def test_the_example_goes_from_a_folder_to_an_alarm(
    incoming: Path, call: Call, tmp_path: Path
) -> None:
    good = tmp_path / "good"
    good.mkdir()
    for number in range(40):
        cv2.imwrite(str(good / f"{number}.png"), image_of(number))
    filmed = image_of(50)
    filmed[20:70, 30:90] = 255
    put(incoming / "1.png", filmed)
    (commands,) = blocks(PAGE, "sh")
    for line in commands.splitlines():
        program, *arguments = shlex.split(line)
        assert program == "semedge"
        result = call(*arguments)
        assert result.status == 0, result.err
    alarm, *_ = (json.loads(line) for line in result.out.splitlines())
    assert (alarm["level"], alarm["source"]) == ("alarm", "inbox:incoming")


def test_its_frames_are_the_newest_and_a_broken_file_counts_as_lost(incoming: Path) -> None:
    put(incoming / "1.png", image_of(1))
    with open_camera(
        "inbox:incoming", timeout_s=0.5, settings=CameraSettings(crop_bottom_px=6)
    ) as camera:
        assert camera.live
        np.testing.assert_array_equal(next(camera).image, image_of(1)[:-6])
        with pytest.raises(
            CameraStalledError, match=r"inbox:incoming .* 0\.5 s\b.*program that writes"
        ):
            next(camera)
        (incoming / "2.png").write_bytes(b"half a picture")
        put(incoming / "3.png", image_of(3))
        np.testing.assert_array_equal(next(camera).image, image_of(3)[:-6])
        assert camera.lost == 1


@pytest.mark.parametrize(
    ("settings", "values"),
    [
        (CameraSettings(), r"inbox:incoming .* 0\.2 s\b"),
        (CameraSettings(exposure_us=100.0), r"exposure_us = 100\.0 .*inbox:incoming"),
    ],
)
def test_what_it_refuses(incoming: Path, settings: CameraSettings, values: str) -> None:
    with pytest.raises(SemedgeError, match=values):
        open_camera("inbox:incoming", timeout_s=0.2, settings=settings)


BROUGHT = """
from semedge import Camera
class Own(Camera):
    def __init__(self, source, *, timeout_s):
        {}
    def read(self):
        raise StopIteration
"""


@pytest.mark.parametrize(
    ("entry", "source", "values"),
    [
        ({"sim": "brought:Own"}, BROUGHT.format("pass"), r"package other .*\bsim\b.* semedge "),
        ({"own": "brought:Own"}, "import nothing_such", r"own of the package other .*nothing_such"),
        (
            {"own": "brought:Missing"},
            BROUGHT.format("pass"),
            r"own of the package other .*AttributeError",
        ),
        (
            {"own": "brought:Path"},
            "from pathlib import Path",
            r"brought:Path of the package other .* Camera",
        ),
        (
            {"own": "brought:Own"},
            BROUGHT.format("raise OSError('no such device')"),
            r"package other .* own:1 \(OSError: no such device\)",
        ),
    ],
)
def test_a_package_that_brings_no_camera_is_named(
    site: Path, entry: dict[str, str], source: str, values: str
) -> None:
    project = {"name": "other", "version": "1", "entry-points": {"semedge.cameras": entry}}
    install(site, project, {"brought": source})
    with pytest.raises(SemedgeError, match=values):
        open_camera("own:1")


def test_two_packages_that_bring_the_same_name_are_named(site: Path) -> None:
    for name in ("one", "other"):
        entry = {"semedge.cameras": {"own": f"{name}_camera:Own"}}
        install(site, {"name": name, "version": "1", "entry-points": entry}, {})
    with pytest.raises(SemedgeError, match=r"package (one|other) .*\bown\b.* (one|other) "):
        open_camera("own:1")


def test_a_camera_that_is_brought_is_imported_only_when_it_is_opened(site: Path) -> None:
    entry = {"semedge.cameras": {"own": "brought:Own"}}
    source = BROUGHT.format("super().__init__(source)")
    install(site, {"name": "other", "version": "1", "entry-points": entry}, {"brought": source})
    with pytest.raises(SemedgeError, match=r"aravis:NAME or own:ADDRESS\. Received: owm:1"):
        open_camera("owm:1")
    assert "brought" not in sys.modules
    with open_camera("own:1") as camera:
        assert list(camera) == []
