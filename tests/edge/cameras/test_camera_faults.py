"""A watch of real servers' streams that stall, die, come back, and change: it tells and goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest
from bundles import FRAME_SHAPE, TRAINING_SEED, with_film
from camera_servers import Server
from faults import Fault
from numpy.typing import NDArray

from semedge.cameras.simulation import SimulatedLine
from semedge.core.event import Event
from semedge.core.files import write_atomically
from semedge.decision.calibration_file import load_calibration
from semedge.decision.defect import DecisionSettings, Levels
from semedge.decision.health import HealthSettings
from semedge.inference.detector import Detector
from semedge.journal.journal import Journal
from semedge.state.snapshot import CameraState
from semedge.station.camera_setup import CameraSetup, SourceChoice, StationCamera
from semedge.station.inspection.limits import LoopLimits
from semedge.station.watch import Watch, WatchSettings

pytestmark = pytest.mark.alone

TIMEOUT_S = 2.0
"""Of the camera: the longest time without a frame."""

LONGEST_REOPENING_S = 50.0
"""The longest pause between two attempts, with its jitter, and the time to open."""

RIGHTS_SHARE = 0.9
"""Of its share of inspected frames, what a camera beside a dying one must keep."""


@dataclass
class Collector:
    """A sink that keeps what it takes."""

    name: str = "collector"
    events: list[Event] = field(default_factory=list)

    def deliver(self, event: Event) -> None:
        self.events.append(event)

    def close(self) -> None:
        pass


class Station:
    """A watch at work in a thread, and what it tells."""

    def __init__(self, watch: Watch, collector: Collector) -> None:
        self._watch = watch
        self._collector = collector
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="station")
        self._thread.start()

    def camera(self, name: str = "left") -> CameraState:
        return self._watch.state.snapshot().cameras[name]

    def inspected(self, name: str = "left") -> int:
        return self.camera(name).counters.frames_inspected

    def reported(self, kind: str = "health") -> list[tuple[str, str, str]]:
        events = [event for event in self._collector.events if event.kind == kind]
        return [(event.camera, event.phase, event.code) for event in events]

    def wait_for(self, true: Callable[[], bool], within_s: float) -> float:
        """Seconds until it is true."""
        began_s = time.monotonic()
        while not true():
            assert self.failure is None, self.failure
            assert time.monotonic() - began_s < within_s, self._collector.events[-3:]
            time.sleep(0.02)
        return time.monotonic() - began_s

    def wait_for_frames(self, count: int, name: str = "left", within_s: float = 30) -> None:
        wanted = self.inspected(name) + count
        self.wait_for(lambda: self.inspected(name) >= wanted, within_s)

    def stop(self) -> None:
        self._watch.stop()
        self._thread.join(15)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._watch.run()
        except BaseException as error:
            self.failure = error


@pytest.fixture
def start(tiny_file: Path, calibration_file: Path, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Starts a station with a camera at each address."""
    stations: list[Station] = []
    with Detector.load(tiny_file, workers=1) as detector, Journal(tmp_path / "j.sqlite") as journal:
        calibration = load_calibration(calibration_file, detector)

        def begin(health: HealthSettings | None = None, **addresses: str) -> Station:
            cameras = [
                StationCamera(
                    name,
                    CameraSetup(
                        SourceChoice(address, TIMEOUT_S),
                        detector,
                        calibration,
                        Levels(calibration.threshold),
                        DecisionSettings(),
                        health or HealthSettings(),
                    ),
                )
                for name, address in addresses.items()
            ]
            collector = Collector()
            settings = WatchSettings(tmp_path / "pictures", "line 4", LoopLimits())
            stations.append(Station(Watch(cameras, journal, [collector], settings), collector))
            return stations[-1]

        try:
            yield begin
        finally:
            for station in stations:
                station.stop()


@pytest.fixture
def material(tmp_path: Path) -> Path:
    """A folder of normal frames, for a server to show."""
    folder = tmp_path / "material"
    folder.mkdir()
    line = SimulatedLine(TRAINING_SEED + 1, shape=FRAME_SHAPE)
    show(folder, [line.frame(number).image for number in range(5)])
    return folder


def show(folder: Path, images: list[NDArray]) -> None:
    """Put other images into the folder, none of which is ever seen half-written."""
    for number, image in enumerate(images):
        content = cv2.imencode(".png", image)[1].tobytes()
        write_atomically(folder / f"{number}.png", content)


def images_in(folder: Path) -> list[NDArray]:
    return [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in sorted(folder.glob("*.png"))]


def spoil(folder: Path, change: Callable[[NDArray], NDArray]) -> None:
    show(folder, [change(image) for image in images_in(folder)])


def memory_mb() -> float:
    return psutil.Process().memory_info().rss / 1e6


@pytest.mark.fault(Fault.CAMERA)
@pytest.mark.parametrize("away_s", [4.0, pytest.param(60.0, marks=pytest.mark.slow)])
def test_a_camera_that_stalls_and_dies_is_reported_and_inspected_again(
    away_s: float,
    serve: Callable[..., Server],
    start: Callable[..., Station],
    material: Path,
    record_property: Callable[[str, object], None],
) -> None:
    server = serve("mjpeg", folder=material)
    station = start(left=server.address)
    station.wait_for_frames(20)
    before_mb = memory_mb()

    server.freeze()
    waited_s = station.wait_for(lambda: len(station.reported()) == 1, TIMEOUT_S + 2)
    assert waited_s > TIMEOUT_S - 0.5
    assert station.reported() == [("left", "start", "no-frame")]
    assert station.camera().activity == "not inspecting"
    assert " 2 s" in station.camera().reason
    server.thaw()
    station.wait_for(lambda: len(station.reported()) == 2, 20)
    assert station.reported()[1] == ("left", "end", "no-frame")
    station.wait_for_frames(20)
    assert station.camera().activity == "inspecting"

    server.kill()
    station.wait_for(lambda: len(station.reported()) == 3, TIMEOUT_S + 2)
    time.sleep(away_s)
    server.start()
    back_s = station.wait_for(lambda: len(station.reported()) == 4, LONGEST_REOPENING_S)
    station.wait_for_frames(20)
    assert [phase for _, phase, _ in station.reported()] == ["start", "end", "start", "end"]
    assert station.reported("defect") == []
    grown_mb = memory_mb() - before_mb
    assert grown_mb < 20
    record_property(f"health event after a stall (timeout {TIMEOUT_S:g} s)", f"{waited_s:.2f} s")
    record_property(f"inspects again, once a camera is back after {away_s:g} s", f"{back_s:.1f} s")
    record_property("memory grown", f"{grown_mb:.1f} MB")


@pytest.mark.fault(Fault.CAMERA)
def test_a_frame_size_that_changes_in_mid_stream_is_inspected(
    serve: Callable[..., Server],
    start: Callable[..., Station],
    material: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    station = start(left=serve("mjpeg", folder=material).address)
    station.wait_for_frames(10)
    spoil(material, lambda image: image[:160, :200])
    station.wait_for(lambda: shape(station) == (160, 200), 10)
    assert "has 200x160 px, and the calibration" in capfd.readouterr().err
    spoil(material, with_room)
    station.wait_for(lambda: shape(station) == FRAME_SHAPE, 10)
    station.wait_for_frames(10)
    assert station.reported() == []


def shape(station: Station) -> tuple[int, int] | None:
    last = station.camera().last
    return None if last is None else last.frame.shape


def with_room(image: NDArray) -> NDArray:
    """The image in the size of the calibration again, mirrored at its edges."""
    height, width = FRAME_SHAPE
    down, right = height - image.shape[0], width - image.shape[1]
    return cv2.copyMakeBorder(image, 0, down, 0, right, cv2.BORDER_REFLECT)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda image: image // 40, "dark"),
        (lambda image: np.clip(image.astype(int) * 5, 0, 255).astype(np.uint8), "saturated"),
        (lambda image: cv2.GaussianBlur(image, (0, 0), 4.0), "out-of-focus"),
    ],
)
def test_bad_pictures_are_reported_as_health_and_never_as_defects(
    change: Callable[[NDArray], NDArray],
    code: str,
    serve: Callable[..., Server],
    start: Callable[..., Station],
    material: Path,
) -> None:
    good = images_in(material)
    station = start(left=serve("mjpeg", folder=material).address)
    station.wait_for_frames(5)
    spoil(material, change)
    station.wait_for(lambda: station.reported() == [("left", "start", code)], 10)
    inspected = station.inspected()
    time.sleep(0.5)
    assert station.inspected() == inspected
    assert station.camera().activity == "not inspecting"
    show(material, good)
    station.wait_for(lambda: len(station.reported()) == 2, 10)
    assert station.reported()[1] == ("left", "end", code)
    station.wait_for_frames(5)
    if code != "out-of-focus":
        assert station.reported("defect") == []


def test_a_stream_that_freezes_is_reported(
    serve: Callable[..., Server], start: Callable[..., Station], material: Path
) -> None:
    station = start(
        HealthSettings(frozen_after_s=1.0), left=serve("mjpeg", folder=material).address
    )
    station.wait_for_frames(10)
    show(material, images_in(material)[:1] * 5)
    station.wait_for(lambda: station.reported() == [("left", "start", "frozen")], 10)
    assert "the same picture" in station.camera().reason


def test_a_defect_is_still_reported_beside_all_that(
    serve: Callable[..., Server], start: Callable[..., Station], material: Path
) -> None:
    station = start(left=serve("mjpeg", folder=material).address)
    station.wait_for_frames(5)
    spoil(material, with_film)
    station.wait_for(lambda: len(station.reported("defect")) > 0, 10)
    assert station.reported() == []


@pytest.mark.fault(Fault.NEIGHBOUR)
def test_beside_a_camera_that_dies_the_other_is_not_a_frame_slower(
    serve: Callable[..., Server],
    start: Callable[..., Station],
    material: Path,
    record_property: Callable[[str, object], None],
) -> None:
    left, right = serve("mjpeg", folder=material), serve("mjpeg", folder=material)
    station = start(left=left.address, right=right.address)
    station.wait_for_frames(10)
    station.wait_for_frames(10, "right")

    def share_inspected(seconds: float) -> float:
        """Of the frames that came: how many come is the server's doing."""
        before = station.camera().counters
        time.sleep(seconds)
        after = station.camera().counters
        inspected = after.frames_inspected - before.frames_inspected
        return inspected / (after.frames_seen - before.frames_seen)

    share_before = share_inspected(2.0)
    right.kill()
    station.wait_for(lambda: ("right", "start", "no-frame") in station.reported(), TIMEOUT_S + 2)
    share = share_inspected(2.5)
    record_property(
        "frames of the other camera that are inspected",
        f"{share:.1%}, and {share_before:.1%} while both live",
    )
    assert share > RIGHTS_SHARE * share_before
    right.start()
    station.wait_for(lambda: ("right", "end", "no-frame") in station.reported(), 20)
    assert all(camera == "right" for camera, _, _ in station.reported())
