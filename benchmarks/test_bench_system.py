"""What a user meets: frames a second, memory, and the wait for `--help`."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest
from measuring import SHORT, compare, rounds, store, time_in_turn
from pytest_benchmark.fixture import BenchmarkFixture

from semedge.bundle import Bundle, read_bundle, read_demo_bundle
from semedge.detector import Detector
from semedge.frame import Frame

SEMEDGE = Path(sysconfig.get_path("scripts")) / "semedge"
MOST_MEMORY_MB = 250
CHILD_TIMEOUT_S = 120


def _score_frames(benchmark: BenchmarkFixture, bundle: Bundle, frame: Frame, title: str) -> None:
    labels = {1: "Detector.score, 1 worker", 2: "Detector.score, 2 workers"}
    with Detector(bundle, stride_px=32, workers=1) as one:  # noqa: SIM117
        with Detector(bundle, stride_px=32, workers=2) as two:
            cases = {
                labels[1]: lambda: one.score(frame).to_pixels(),
                labels[2]: lambda: two.score(frame).to_pixels(),
            }
            medians_s = time_in_turn(benchmark, cases, reference=labels[1], count=rounds(25))
    store(
        benchmark,
        title,
        medians_s,
        reference=labels[1],
        figures={f"frames/s, {label}": f"{1 / value:.1f}" for label, value in medians_s.items()},
    )


def test_whole_frame(benchmark: BenchmarkFixture, detector_path: Path, frame: Frame) -> None:
    _score_frames(
        benchmark,
        read_bundle(detector_path),
        frame,
        "Whole frame of 1024x700 px, stride 32, three networks (comb_im: E_G, G, E_R), int8",
    )


def test_whole_frame_demo(benchmark: BenchmarkFixture, frame: Frame) -> None:
    try:
        bundle = read_demo_bundle()
    except FileNotFoundError:
        pytest.skip("the demo detector is not in the package")
    manifest = bundle.manifest
    _score_frames(
        benchmark,
        bundle,
        frame,
        f"Whole frame of 1024x700 px, stride 32, demo detector ({manifest.score.name}, "
        f"{manifest.quantization})",
    )


@pytest.fixture
def calibration_path(detector_path: Path, tmp_path: Path) -> Path:
    """A calibration of the benchmark's detector on a few normal frames."""
    path = tmp_path / "calibration.json"
    camera = ["--camera", "sim:1?size=1024x700", "--frames", "8"]
    promise = ["--false-alarm-rate", "0.4", "--confidence", "0.9"]
    done = subprocess.run(
        [SEMEDGE, "calibrate", "--detector", detector_path, *camera, *promise, "--out", path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=CHILD_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    return path


def test_memory_of_watch(
    benchmark: BenchmarkFixture, detector_path: Path, calibration_path: Path
) -> None:
    psutil = pytest.importorskip("psutil", reason="memory is read with psutil (extra bench)")
    frames = 20 if SHORT else 60
    camera = ["--camera", f"sim:2?size=1024x700&defects=0.5&frames={frames}"]
    detector = ["--detector", detector_path, "--calibration", calibration_path]
    highest_bytes = 0

    def watch() -> None:
        nonlocal highest_bytes
        with subprocess.Popen(
            [SEMEDGE, "watch", *camera, *detector],
            cwd=calibration_path.parent,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                seen = psutil.Process(process.pid)
                give_up_s = time.monotonic() + CHILD_TIMEOUT_S
                while process.poll() is None and time.monotonic() < give_up_s:
                    highest_bytes = max(highest_bytes, seen.memory_info().rss)
                    time.sleep(0.02)
            finally:
                process.kill()
            assert process.stderr is not None
            assert process.returncode == 0, process.stderr.read()

    benchmark.pedantic(watch, rounds=1, iterations=1)
    highest_mb = highest_bytes / 1e6
    benchmark.extra_info.update(
        title="Memory of `semedge watch`, 1024x700 px, three networks, int8",
        rows=[],
        notes=[],
        figures={"resident memory, highest": f"{highest_mb:.0f} MB"},
    )
    assert 20 < highest_mb < MOST_MEMORY_MB


def test_help(benchmark: BenchmarkFixture) -> None:
    def run(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, timeout=30)

    bare = "python -c pass"
    compare(
        benchmark,
        "The wait for `semedge --help`",
        {
            bare: lambda: run(sys.executable, "-c", "pass"),
            "semedge --help": lambda: run(str(SEMEDGE), "--help"),
        },
        reference=bare,
        count=rounds(15),
    )
