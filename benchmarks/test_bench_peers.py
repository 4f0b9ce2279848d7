"""OpenVINO and ONNX Runtime on semedge's int8 graphs, and how near all of them come to the peak.

Run by `make bench-peers` in an environment of its own; skipped where ONNX Runtime is absent.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from chains import LEAST_CORRELATION, Chain, litert_chain, multiply_adds, onnx_chain, openvino_chain
from measuring import medians_of, rounds, store, times_in_turn
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

if TYPE_CHECKING:
    from graphs import Workshop

Array = NDArray[np.float32]
Timed = Callable[[], Array]

pytest.importorskip("onnxruntime", reason="ONNX Runtime comes with the extra peers")
pytestmark = pytest.mark.timeout(900)

PEAK = "a large convolution"
NOTE = (
    "A ratio of 1 or more is the goal: the peer against semedge. ONNX Runtime has the graphs as "
    "tf2onnx turns them into quantize-dequantize pairs. The peak is that of LiteRT on "
    "one int8 convolution of 3x3, 512 to 512 channels, timed in the same rounds."
)


@pytest.fixture(scope="session")
def convolution() -> bytes:
    """The graph that comes nearest to what a core can do."""
    from graphs import large_convolution

    return large_convolution()


def compare_runtimes(
    benchmark: BenchmarkFixture,
    title: str,
    chains: dict[str, Chain],
    values: Array,
    paths: list[Path],
    convolution: Chain,
    peak_multiply_adds: int,
    peak_values: Array,
) -> None:
    """Time the first chain, ours, and the others in turn, and give each one's share of the peak."""
    ours = next(iter(chains))
    calls = len(values) / chains[ours].batch
    total = calls * sum(multiply_adds(path) for path in paths)
    expected = chains[ours].run(values)
    for chain in chains.values():
        given = chain.run(values)
        assert np.corrcoef(expected.ravel(), given.ravel())[0, 1] > LEAST_CORRELATION
    cases: dict[str, Timed] = {label: chain.on(values) for label, chain in chains.items()}
    cases[PEAK] = convolution.on(peak_values)
    times_s = times_in_turn(benchmark, cases, reference=ours, count=rounds(40, 7))
    medians_s = medians_of(times_s)
    peak = peak_multiply_adds / medians_s.pop(PEAK)
    figures = {
        "multiply-adds": f"{total / 1e9:.2f} G",
        f"int8 multiply-adds/s of {PEAK}": f"{peak / 1e9:.0f} G",
    }
    for label, median_s in medians_s.items():
        figures[f"share of that, {label}"] = f"{total / median_s / peak:.0%}"
    figures["99th percentile / median, semedge"] = (
        f"{np.percentile(times_s[ours], 99) / medians_s[ours]:.2f}"
    )
    store(benchmark, title, medians_s, reference=ours, figures=figures, notes=(NOTE,))


@pytest.mark.parametrize("threads", [1, 2])
def test_encoder_and_generator(
    benchmark: BenchmarkFixture,
    workshop: Workshop,
    patches: Array,
    graph_paths: list[Path],
    convolution: bytes,
    threads: int,
) -> None:
    chains = {_ours(threads): workshop.chain("encoder", "generator", workers=threads)}
    for streams in range(1, threads + 1):
        chains |= _peers(graph_paths, threads, streams)
    compare_runtimes(
        benchmark,
        f"Encoder + generator, int8, {len(patches)} patches, {_counted(threads)}",
        chains,
        patches,
        graph_paths,
        *_peak(convolution, threads),
    )


@pytest.mark.parametrize("threads", [1, 2])
def test_texture_gaussian(
    benchmark: BenchmarkFixture,
    texture_paths: list[Path],
    tile: Array,
    convolution: bytes,
    threads: int,
) -> None:
    contents = [path.read_bytes() for path in texture_paths]
    chains = {_ours(threads): litert_chain(contents, threads=threads)}
    chains |= _peers(texture_paths, threads, 1)
    compare_runtimes(
        benchmark,
        f"The network of texture-gaussian, int8, one tile of {tile.shape[2]}x{tile.shape[1]} px, "
        f"{_counted(threads)}",
        chains,
        tile,
        texture_paths,
        *_peak(convolution, threads),
    )


def _ours(threads: int) -> str:
    return f"semedge (LiteRT), {_counted(threads)}"


def _peers(paths: list[Path], threads: int, streams: int) -> dict[str, Chain]:
    how = f"{_counted(threads)}, {streams} at once"
    return {
        f"ONNX Runtime, {how}": onnx_chain(paths, threads=threads, streams=streams),
        f"OpenVINO, {how}": openvino_chain(paths, threads=threads, streams=streams),
    }


def _peak(convolution: bytes, threads: int) -> tuple[Chain, int, Array]:
    """The large convolution, its multiply-adds, and values for it."""
    from graphs import LARGE_MULTIPLY_ADDS, large_values

    return litert_chain([convolution], threads=threads), LARGE_MULTIPLY_ADDS, large_values()


def _counted(threads: int) -> str:
    return f"{threads} thread{'' if threads == 1 else 's'}"
