"""What the benchmarks share: a simulated frame, its patches, the exported graphs."""

from __future__ import annotations

import os

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# As the commands of the edge do.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from semedge.cameras.simulation import SimulatedLine
from semedge.core.frame import Frame
from semedge.inference.bundle import Bundle, read_bundle
from semedge.inference.grid import PatchGrid
from semedge.inference.interpreter import Graph
from semedge.inference.scaling import scale_patches

if TYPE_CHECKING:
    from graphs import Workshop

FRAME_SHAPE = (700, 1024)
PATCH_PX = 32
FIT_FRAMES = "sim:3?frames=3&size=1024x700"
DOT_PRODUCTS = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
PACKAGES = (
    "ai-edge-litert",
    "keras",
    "numpy",
    "onnxruntime",
    "opencv-python-headless",
    "openvino",
    "tensorflow",
    "tf2onnx",
    "tf_keras",
)


@pytest.fixture(scope="session")
def frame() -> Frame:
    return Frame(SimulatedLine(1, FRAME_SHAPE).frame(0).image, 0, 0.0, "a simulated frame")


@pytest.fixture(scope="session")
def grid() -> PatchGrid:
    return PatchGrid(FRAME_SHAPE, PATCH_PX, PATCH_PX)


@pytest.fixture(scope="session")
def patches(frame: Frame, grid: PatchGrid) -> NDArray[np.float32]:
    """The frame's 704 patches, scaled."""
    return scale_patches(grid.cut(frame.image), "range")


@pytest.fixture(scope="session")
def workshop(patches: NDArray[np.float32]) -> Workshop:
    pytest.importorskip("tensorflow", reason="the graphs are exported with the extra train")
    from graphs import Workshop

    return Workshop(patches)


@pytest.fixture(scope="session")
def detector_path(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An int8 bundle with random weights whose score needs three networks."""
    path = tmp_path_factory.mktemp("detector") / "benchmark.semedge"
    workshop.write_detector(path)
    return path


@pytest.fixture(scope="session")
def graph_paths(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The encoder's and the generator's int8 graphs as files, for other runtimes."""
    folder = tmp_path_factory.mktemp("graphs")
    paths = [folder / f"{name}.tflite" for name in ("encoder", "generator")]
    for path in paths:
        path.write_bytes(workshop.content(path.stem, "int8", 32, True))
    return paths


@pytest.fixture(scope="session")
def texture_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """texture-gaussian, int8, with the default options, fitted to simulated frames."""
    pytest.importorskip("tensorflow", reason="the detector is fitted with the extra train")
    from semedge_trainer.export.export import export_run
    from semedge_trainer.export.exporter import ExportRequest
    from semedge_trainer.training.devices import choose_strategy
    from semedge_trainer.training.train import (
        TrainingRequest,
        finish_run,
        start_run,
    )

    folder = tmp_path_factory.mktemp("texture")
    run, frames = start_run(folder / "run", TrainingRequest("texture-gaussian", FIT_FRAMES, {}))
    finish_run(run, frames, choose_strategy(None))
    export_run(run, folder / "texture.semedge", ExportRequest("int8"))
    return read_bundle(folder / "texture.semedge")


@pytest.fixture(scope="session")
def texture_paths(texture_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Its graphs as files, in the order in which each takes what the one before it gives."""
    folder = tmp_path_factory.mktemp("texture-graphs")
    paths = [folder / f"{node.graph}.tflite" for node in texture_bundle.manifest.nodes]
    for path in paths:
        path.write_bytes(texture_bundle.graph(path.stem))
    return paths


@pytest.fixture(scope="session")
def tile(texture_paths: list[Path], frame: Frame) -> NDArray[np.float32]:
    """The frame as its network takes it."""
    shape = Graph(texture_paths[0].read_bytes(), "benchmark").input_shape
    values = cv2.resize(frame.image, (shape[2], shape[1])).astype(np.float32)
    return (values / 127.5 - 1.0).reshape(shape)


@pytest.fixture(scope="session")
def dot_products() -> tuple[str, ...]:
    """The processor's instructions for int8 dot products; int8 is hardly faster without any."""
    return _dot_products()


def pytest_benchmark_update_machine_info(config: Any, machine_info: dict[str, Any]) -> None:
    """Say what the figures depend on, and nothing that names the machine."""
    cpu: Mapping[str, Any] = machine_info.get("cpu", {})
    kept = {
        "cpu": cpu.get("brand_raw", platform.machine()),
        "cores": len(os.sched_getaffinity(0)),
        "int8_dot_products": _dot_products(),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }
    machine_info.clear()
    machine_info.update(kept)


def pytest_benchmark_update_json(
    config: Any, benchmarks: list[Any], output_json: dict[str, Any]
) -> None:
    """The commit and its date are kept; the project's folder and branch are not."""
    commit = output_json.get("commit_info", {})
    output_json["commit_info"] = {key: commit[key] for key in ("id", "dirty") if key in commit}


def _dot_products() -> tuple[str, ...]:
    words = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    return tuple(name for name in DOT_PRODUCTS if name in words)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
