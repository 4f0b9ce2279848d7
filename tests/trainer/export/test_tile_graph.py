"""A patch graph over tiles of the frame: the same to the bit, and which graphs can."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from semedge.cameras.simulation import SimulatedLine
from semedge.core.frame import Frame
from semedge.inference.bundle import Bundle, read_bundle
from semedge.inference.detector import Detector
from semedge.inference.grid import PatchGrid
from semedge.inference.interpreter import Graph
from semedge.inference.manifest import Node, Quantization
from semedge.inference.network_input import PatchInput
from semedge.inference.scaling import scale_patches
from semedge_trainer.components import blocks
from semedge_trainer.components.blocks import Network
from semedge_trainer.detectors.base import node
from semedge_trainer.export.export import export_run
from semedge_trainer.export.exporter import ExportRequest
from semedge_trainer.export.fully_convolutional import fully_convolutional_nodes, tile_graph
from semedge_trainer.quantization.convert import convert
from semedge_trainer.quantization.deploy_model import BATCH, to_deploy_model
from semedge_trainer.training.devices import choose_strategy
from semedge_trainer.training.run import Run
from semedge_trainer.training.train import TrainingRequest, finish_run

StartRun = Callable[..., tuple[Run, object]]

TILE_SHAPE = (96, 160)
WIDTH = 0.125


@cache
def frame() -> NDArray:
    return SimulatedLine(seed=4, shape=TILE_SHAPE, defect_rate=1.0).frame(0).image


@cache
def patches(stride_px: int) -> NDArray[np.float32]:
    return scale_patches(PatchGrid(TILE_SHAPE, 32, stride_px).cut(frame()), "range")


def converted(network: Network, quantization: Quantization) -> bytes:
    return convert(to_deploy_model(network, batch=BATCH), quantization, patches(8))


@cache
def encoder_graph(quantization: Quantization) -> bytes:
    network = blocks.encoder("encoder", width=WIDTH, padding="valid")
    for _ in range(10):
        network(patches(8)[:64], training=True)
    return converted(network, quantization)


@pytest.mark.parametrize("stride_px", [4, 8, 12, 16, 28])
@pytest.mark.parametrize("quantization", ["int8", "float32", "float16"])
def test_a_tile_gives_what_its_patches_give(quantization: Quantization, stride_px: int) -> None:
    content = encoder_graph(quantization)
    over_tile = tile_graph(content, TILE_SHAPE, stride_px)
    assert over_tile is not None
    latents = Graph(over_tile, "tile").run(scale_patches(frame()[None, ..., None], "range"))
    graph = Graph(content, "patch")
    rows, columns = ((side - 32) // stride_px + 1 for side in TILE_SHAPE)
    grid = PatchGrid(TILE_SHAPE, 32, stride_px)
    on_lattice = np.arange(len(grid)).reshape(grid.shape)[:rows, :columns].ravel()
    cut = patches(stride_px)[on_lattice]
    expected = np.concatenate([graph.run(cut[at : at + BATCH]) for at in range(0, len(cut), BATCH)])
    assert latents.shape == expected.shape
    assert expected.std(axis=0).max() > 0
    if quantization == "int8":
        np.testing.assert_array_equal(latents, expected)
    else:
        np.testing.assert_allclose(latents, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stride_px", [2, 6, 30])
def test_a_stride_that_its_convolutions_step_over_has_no_graph(stride_px: int) -> None:
    assert tile_graph(encoder_graph("int8"), TILE_SHAPE, stride_px) is None


@pytest.mark.parametrize(
    "build",
    [
        lambda: blocks.encoder("encoder", width=WIDTH),
        lambda: blocks.encoder("encoder", kernel_px=4, width=WIDTH, padding="valid"),
        lambda: blocks.generator_ebgan(latent=8, width=WIDTH),
        lambda: blocks.logit(4),
    ],
)
def test_networks_that_look_beyond_the_patch_or_at_more_places_have_none(
    build: Callable[[], Network],
) -> None:
    network = build()
    deploy_model = to_deploy_model(network, batch=BATCH)
    inputs = np.random.default_rng(0).normal(size=(64, *network.input_shape[1:]))
    content = convert(deploy_model, "float32", inputs.astype(np.float32))
    assert tile_graph(content, TILE_SHAPE, 16) is None


def nodes_for(
    patch_input: PatchInput, stride_px: int, frame_shape: tuple[int, int] = (700, 1024)
) -> tuple[tuple[Node, ...], dict[str, bytes]]:
    nodes = (node("z", "encoder", "x"), node("z_y", "encoder", "y"))
    graphs = {"encoder": encoder_graph("int8")}
    return fully_convolutional_nodes(nodes, graphs, patch_input, stride_px, frame_shape)


def test_only_what_takes_patches_of_the_frame_runs_over_it() -> None:
    (first, second), graphs = nodes_for(PatchInput(patch_px=32), 16)
    assert graphs.keys() == {"encoder_over_frame"}
    assert first.over_frame is not None
    assert second.over_frame is None
    height, width = first.over_frame.tile_shape
    assert height * width <= 2**17
    # Of 42 x 63 patches, no more are computed twice than a tenth.
    rows, columns = ((side - 32) // 16 + 1 for side in (height, width))
    assert -(-42 // rows) * rows * -(-63 // columns) * columns < 1.1 * 42 * 63


@pytest.mark.parametrize(
    ("patch_input", "stride_px"),
    [(PatchInput(patch_px=32), 32), (PatchInput(patch_px=32, scaling="patch"), 16)],
)
def test_patches_that_share_nothing_run_one_by_one(patch_input: PatchInput, stride_px: int) -> None:
    nodes, graphs = nodes_for(patch_input, stride_px)
    assert not graphs
    assert all(each.over_frame is None for each in nodes)


@pytest.mark.parametrize("frame_shape", [(32, 32), (40, 5000), (20_000, 20_000)])
def test_tiles_suit_frames_of_every_size(frame_shape: tuple[int, int]) -> None:
    (first, _), _ = nodes_for(PatchInput(patch_px=32), 8, frame_shape)
    assert first.over_frame is not None
    height, width = first.over_frame.tile_shape
    assert height >= 32 <= width
    assert height * width <= 2**17


def test_the_export_scores_frames_as_the_patches_would(
    tmp_path: Path, start_small_run: StartRun
) -> None:
    options = {"encoder_padding": "valid", "width": str(WIDTH)}
    request = TrainingRequest("encebgan", "sim:5?frames=2", options, steps=4, seed=3)
    run, frames = start_small_run(tmp_path / "run", request)
    finish_run(run, frames, choose_strategy(["cpu:0"]))
    path = tmp_path / "out.semedge"
    manifest = export_run(
        run, path, ExportRequest("int8", score_name="im1", only_score=True, stride_px=16)
    )
    assert manifest.format_version == 3
    assert [each.over_frame is not None for each in manifest.nodes] == [True, False]
    assert manifest.parity["im1"].rank_correlation > 0.99
    shown = Frame(SimulatedLine(seed=8, shape=(203, 310)).frame(0).image, 0, 0.0, "frame 0")
    with Detector.load(path) as over_frame, Detector(patchwise(read_bundle(path))) as alone:
        scored, expected = over_frame.score(shown), alone.score(shown)
    assert "encoder" in expected.stage_ms
    assert "encoder_over_frame" in scored.stage_ms
    np.testing.assert_array_equal(scored.patch_scores, expected.patch_scores)


def patchwise(bundle: Bundle) -> Bundle:
    """The same detector without networks over the frame."""
    nodes = tuple(each.model_copy(update={"over_frame": None}) for each in bundle.manifest.nodes)
    manifest = bundle.manifest.model_copy(update={"nodes": nodes, "format_version": 1})
    return Bundle(bundle.name, bundle.sha256, manifest, bundle.members)
