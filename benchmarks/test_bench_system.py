"""What a user meets: frames a second, memory, and the wait for `--help`."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from measuring import SHORT, compare, medians_of, paces, rounds, store, times_in_turn
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from semedge.core.frame import Frame
from semedge.inference.bundle import Bundle, read_bundle, read_demo_bundle
from semedge.inference.detector import Detector

if TYPE_CHECKING:
    from graphs import Workshop

SEMEDGE = Path(sysconfig.get_path("scripts")) / "semedge"
MOST_MEMORY_MB = 250
CHILD_TIMEOUT_S = 120
WIDTHS = (1, 0.5) if SHORT else (1, 0.5, 0.25)
STRIDES = (32,) if SHORT else (32, 16)
LARGEST_RATIO_AT_HALF_WIDTH = 0.7
"""Of its time to that of the whole width, at a quarter of the multiply-adds."""
SHARED_STRIDES = (16,) if SHORT else (16, 8)
PADDED_STRIDES, BARE_STRIDES = ((16,), (16,)) if SHORT else ((32, 16), (32, 16, 8))
LARGEST_RATIO_FULLY_CONVOLUTIONAL = 0.8
"""Of a frame's time at stride 16 to that with the thesis's padding, patch by patch."""


def _score_frames(benchmark: BenchmarkFixture, bundle: Bundle, frame: Frame, title: str) -> None:
    labels = {1: "Detector.score, 1 worker", 2: "Detector.score, 2 workers"}
    with Detector(bundle, stride_px=32, workers=1) as one:  # noqa: SIM117
        with Detector(bundle, stride_px=32, workers=2) as two:
            cases = {
                labels[1]: lambda: one.score(frame).to_pixels(),
                labels[2]: lambda: two.score(frame).to_pixels(),
            }
            times_s = times_in_turn(benchmark, cases, reference=labels[1], count=rounds(40))
    store(benchmark, title, medians_of(times_s), reference=labels[1], figures=paces(times_s))


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


def test_widths(
    benchmark: BenchmarkFixture,
    workshop: Workshop,
    patches: NDArray[np.float32],
    frame: Frame,
    tmp_path: Path,
) -> None:
    """What a frame costs by the patches' distance and the networks' width."""
    from graphs import Workshop

    cases, figures = {}, {}
    with ExitStack() as stack:
        for width in WIDTHS:
            path = tmp_path / f"width-{width}.semedge"
            made = workshop if width == 1 else Workshop(patches, {"width": str(width)})
            made.write_detector(path, "im1")
            figures[f"bundle, width {width:g}"] = _size(path)
            for stride_px in STRIDES:
                label = f"width {width:g}, stride {stride_px}"
                cases[label] = _scoring(stack, path, stride_px, frame)
        reference = "width 1, stride 32"
        times_s = times_in_turn(benchmark, cases, reference=reference, count=rounds(25))
    ratios = store(
        benchmark,
        "Whole frame of 1024x700 px, encoder + generator (im1), int8, 2 workers: width and stride",
        medians_of(times_s),
        reference=reference,
        figures={**paces(times_s), **figures},
    )
    assert ratios["width 0.5, stride 32"] < LARGEST_RATIO_AT_HALF_WIDTH


def test_fully_convolutional(
    benchmark: BenchmarkFixture,
    workshop: Workshop,
    patches: NDArray[np.float32],
    frame: Frame,
    tmp_path: Path,
) -> None:
    """What an encoder without padding costs, patch by patch and fully convolutional."""
    from graphs import Workshop

    bare = Workshop(patches, {"encoder_padding": "valid"})

    def written(name: str, made: Workshop, stride_px: int) -> Path:
        path = tmp_path / f"{name}.semedge"
        made.write_detector(path, "im1", stride_px)
        return path

    padded, alone = written("padded", workshop, 32), written("alone", bare, 32)
    convolutional = {each: written(f"convolutional-{each}", bare, each) for each in SHARED_STRIDES}
    loads = {
        **{f"padded, stride {each}": (padded, each) for each in PADDED_STRIDES},
        **{f"no padding, stride {each}, patch by patch": (alone, each) for each in BARE_STRIDES},
        **{
            f"no padding, stride {each}, fully convolutional": (path, each)
            for each, path in convolutional.items()
        },
    }
    reference, shared = "padded, stride 16", "no padding, stride 16, fully convolutional"
    with ExitStack() as stack:
        cases = {
            label: _scoring(stack, path, stride_px, frame)
            for label, (path, stride_px) in loads.items()
        }
        times_s = times_in_turn(benchmark, cases, reference=reference, count=rounds(25, 9))
    ratios = store(
        benchmark,
        "Whole frame of 1024x700 px, encoder + generator (im1), int8, 2 workers: the fully "
        "convolutional encoder",
        medians_of(times_s),
        reference=reference,
        figures={
            **paces(times_s),
            "bundle, padded": _size(padded),
            "bundle, no padding": _size(alone),
            "bundle, no padding, with a fully convolutional graph": _size(convolutional[16]),
        },
    )
    assert ratios[shared] < LARGEST_RATIO_FULLY_CONVOLUTIONAL
    assert ratios[shared] < ratios["no padding, stride 16, patch by patch"]


def _scoring(
    stack: ExitStack, path: Path, stride_px: int, frame: Frame
) -> Callable[[], NDArray[np.float32]]:
    """Scores the frame by a bundle, which the stack closes."""
    detector = stack.enter_context(Detector(read_bundle(path), stride_px=stride_px, workers=2))
    return lambda: detector.score(frame).to_pixels()


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.2f} MB"


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
    frames = 12 if SHORT else 60
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
