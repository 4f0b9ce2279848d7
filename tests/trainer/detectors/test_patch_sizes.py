"""Patches of 28 px (thesis 4.1): networks, steps, and the way from a training to a watched line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from commandcall import Call, Result
from evaluated import Folders

from semedge.core.errors import SemedgeError
from semedge.inference.bundle import read_bundle
from semedge_trainer.components import blocks
from semedge_trainer.components.blocks import Network
from semedge_trainer.components.randomness import Randomness
from semedge_trainer.detectors import DETECTORS, ganomaly, make_detector
from semedge_trainer.detectors.base import (
    Reconstructing,
    SearchedDetector,
    StepContext,
    TrainedDetector,
)
from semedge_trainer.detectors.options import PatchOptions
from semedge_trainer.evaluation.protocols import ThesisProtocol
from semedge_trainer.export.parity import keras_tensors
from semedge_trainer.training import train as training
from semedge_trainer.training.run import Run

PATCH_PX = 28
OFFERED = [name for name, each in DETECTORS.items() if issubclass(each.options_class, PatchOptions)]
EVERYTHING = {"sencebgan": {"xx": "true", "zz": "true"}}
"""Options that bring a detector's other networks."""
FRAMES = "size=256x192&frames="
CALIBRATION_FRAMES = 29
"""Enough to prove a false-alarm rate of 10 % at 95 % confidence."""


def maps_of(network: Network) -> list[tuple[int, ...]]:
    """Shapes of what the dense layers and convolutions give, in order."""
    kinds = (keras.layers.Dense, keras.layers.Conv2D, keras.layers.Conv2DTranspose)
    return [tuple(layer.output.shape[1:]) for layer in network.layers if isinstance(layer, kinds)]


def small_patches(count: int = 4) -> tf.Tensor:
    shape = (count, PATCH_PX, PATCH_PX, 1)
    return tf.random.stateless_uniform(shape, [1, 2], -1.0, 1.0)


def test_the_detectors_of_the_thesis_have_both_sides_but_skip_ganomaly() -> None:
    assert set(OFFERED) == {
        *("alad", "ali", "anogan", "autoencoder", "bigan", "ebgan", "encebgan", "f-anogan"),
        *("ganomaly", "sencebgan"),
    }


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (
            lambda: blocks.generator_anogan(patch_px=PATCH_PX),
            [(7 * 7 * 512,), (14, 14, 256), (28, 28, 128), (28, 28, 1)],
        ),
        (
            lambda: blocks.generator_ebgan(patch_px=PATCH_PX),
            [(7 * 7 * 64,), (14, 14, 32), (28, 28, 1)],
        ),
        (
            lambda: blocks.generator_ebgan(width=0.5, patch_px=PATCH_PX),
            [(7 * 7 * 32,), (14, 14, 16), (28, 28, 1)],
        ),
        (lambda: blocks.decoder(patch_px=PATCH_PX), [(7 * 7 * 64,), (14, 14, 32), (28, 28, 1)]),
        (
            lambda: ganomaly.decoder(patch_px=PATCH_PX),
            [(7 * 7 * 64,), (14, 14, 32), (28, 28, 16), (28, 28, 1)],
        ),
        (
            lambda: blocks.encoder("encoder", patch_px=PATCH_PX),
            [(14, 14, 64), (7, 7, 128), (4, 4, 256), (256,)],
        ),
        (
            lambda: blocks.embedding(patch_px=PATCH_PX),
            [(14, 14, 32), (7, 7, 64), (4, 4, 128), (256,)],
        ),
        (lambda: blocks.features_pair_images(patch_px=PATCH_PX), [(14, 14, 64), (7, 7, 128)]),
    ],
)
def test_maps_of_8_px_are_of_7_px_and_a_dense_layer_gives_the_first(
    network: Callable[[], Network], expected: list[tuple[int, ...]]
) -> None:
    assert maps_of(network()) == expected


def test_layers_that_stay_have_the_names_and_kernels_of_the_tables() -> None:
    def kernels(patch_px: int) -> dict[str, tuple[int, ...]]:
        network = blocks.generator_anogan(patch_px=patch_px)
        return {
            layer.name: tuple(layer.kernel.shape)
            for layer in network.layers
            if isinstance(layer, keras.layers.Conv2DTranspose)
        }

    table = kernels(32)
    assert table.pop("deconv1")
    assert kernels(PATCH_PX) == table


@pytest.mark.parametrize("name", OFFERED)
def test_32_px_stay_the_default(name: str) -> None:
    detector = make_detector(name, {}, "fast")
    assert detector.patch_px == detector.options.patch_px == 32
    stated = make_detector(name, {"patch_px": "32"}, "fast")
    assert stated.options == detector.options
    for network in detector.build().values():
        for shape in (network.input_shape, network.output_shape):
            assert len(shape) == 2 or shape[1:3] == (32, 32)


@pytest.mark.parametrize("name", OFFERED)
def test_every_stage_steps_and_every_score_is_computed(name: str) -> None:
    settings = {"patch_px": "28", **EVERYTHING.get(name, {})}
    detector = make_detector(name, settings, "fast")
    assert isinstance(detector, TrainedDetector)
    assert detector.patch_px == PATCH_PX
    networks = detector.build()
    patches = small_patches()
    for index, stage in enumerate(detector.stages()):
        optimizers = {each: keras.optimizers.Adam(1e-4) for each in stage.learning_rates}
        for each, optimizer in optimizers.items():
            optimizer.build(networks[each].trainable_variables)
        random = Randomness(1, tf.constant(index))
        losses = stage.step(StepContext(networks, optimizers, random, tf.constant(0.0)), patches)
        assert all(np.isfinite(float(value)) for value in losses.values()), stage.name
        stage.settle(networks, patches, random)
    if isinstance(detector, Reconstructing):
        assert detector.reconstruct(networks, patches).shape == patches.shape
    if isinstance(detector, SearchedDetector):
        for score_name in detector.score_names:
            found = detector.search(networks, len(patches), score_name)(patches, 1, 0)
            assert np.isfinite(found).all()
        painted = detector.search_reconstruction(networks, len(patches))(patches, 1, 0)
        assert painted.shape == patches.shape
    else:
        tensors = keras_tensors(detector.score_plan(), networks, patches.numpy())
        assert all(np.isfinite(tensor).all() for tensor in tensors.values())


@pytest.mark.parametrize(
    "name", ["pca", "dictionary", "skip-ganomaly", "self-similarity", "texture-gaussian"]
)
def test_a_detector_without_the_option_names_those_that_have_it(name: str) -> None:
    with pytest.raises(SemedgeError) as refused:
        make_detector(name, {"patch_px": "28"}, "fast")
    message = str(refused.value)
    assert message.startswith(f"{name} has no option patch_px. Received: patch_px=28; ")
    assert all(offered in message for offered in OFFERED)


@pytest.mark.parametrize("value", ["30", "28.0", "", "px"])
def test_another_side_is_refused_with_both_that_there_are(value: str) -> None:
    with pytest.raises(SemedgeError, match=f"patch_px must be one of 32, 28. Received: '{value}'"):
        make_detector("bigan", {"patch_px": value}, "fast")


@pytest.mark.parametrize("name", ["encebgan", "sencebgan"])
def test_an_encoder_without_padding_needs_29_px(name: str) -> None:
    settings = {"patch_px": "28", "encoder_padding": "valid"}
    with pytest.raises(SemedgeError, match=r"29 px.* patch_px=28; choose encoder_padding=same or"):
        make_detector(name, settings, "fast")


def test_the_thesis_protocol_cuts_patches_of_28_px_by_the_same_rule() -> None:
    grid = ThesisProtocol().grid((696, 1024), PATCH_PX)
    assert grid.frame_shape == (668, 1004)
    assert (grid.shape, grid.stride_px) == ((41, 62), 16)
    for starts in (grid.tops, grid.lefts):
        assert set(np.diff(starts)) == {16}


def succeed(call: Call, *arguments: object) -> Result:
    result = call(*arguments)
    assert result.status == 0, result.err
    return result


def test_a_detector_goes_from_training_to_evaluation(
    call: Call, tmp_path: Path, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SAMPLE_PATCHES", 1024)
    begun = ("--detector", "ebgan", "--option", "patch_px=28", "--option", "width=0.25")
    with monkeypatch.context() as killed:
        killed.setattr(Run, "write_weights", _dies)
        images = ("--images", f"sim:5?{FRAMES}2")
        stopped = call("train", *begun, *images, "--steps", 3, "--out", "run")
    assert (stopped.status, "Stopped" in stopped.err) == (1, True)
    run = Run.open(tmp_path / "run")
    assert not run.finished
    assert run.record.options["patch_px"] == PATCH_PX
    assert run.patches().shape == (1024, PATCH_PX, PATCH_PX, 1)
    succeed(call, "train", "--resume", "--out", "run")
    detector, networks = run.load()
    assert detector.patch_px == PATCH_PX
    assert networks["generator"].output_shape[1:] == (PATCH_PX, PATCH_PX, 1)
    for quantization in ("float32", "int8"):
        out = ("--quantization", quantization, "--out", f"{quantization}.semedge")
        succeed(call, "export", "run", *out)
        manifest = read_bundle(tmp_path / f"{quantization}.semedge").manifest
        assert manifest.quantization == quantization
        assert (manifest.input.patch_px, manifest.stride_px) == (PATCH_PX, PATCH_PX)
        assert manifest.training.options["patch_px"] == PATCH_PX
        assert manifest.parity["energy"].rank_correlation > 0.99
    images = f"sim:6?{FRAMES}{CALIBRATION_FRAMES}"
    chosen = ("--detector", "int8.semedge")
    succeed(
        call,
        *("calibrate", *chosen, "--images", images, "--false-alarm-rate", 0.1, "--out", "c.json"),
    )
    grid = json.loads((tmp_path / "c.json").read_text())["grid"]
    assert (grid["patch_px"], grid["stride_px"]) == (PATCH_PX, PATCH_PX)
    calibrated = (*chosen, "--calibration", "c.json")
    succeed(call, "score", *calibrated, folders.images, "--out", "scores.csv")
    rows = list(csv.DictReader((tmp_path / "scores.csv").read_text("utf-8-sig").splitlines()))
    assert len(rows) == 4
    assert all(np.isfinite(float(row["frame_score"])) for row in rows)
    watched = succeed(
        call, "watch", *calibrated, "--camera", f"sim:7?{FRAMES}12&defects=0.5", "--json"
    )
    assert "12 frames seen, 12 inspected" in watched.err
    evaluated = succeed(call, "evaluate", *folders.given, *chosen, "--json")
    protocols = json.loads(evaluated.out)["protocols"]
    for protocol in protocols.values():
        assert 0.0 <= protocol["scores"][0]["items"]["auroc"] <= 1.0


def _dies(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", [name for name in OFFERED if name != "anogan"])
def test_every_detector_trains_and_exports_and_scores_a_frame(
    name: str, call: Call, tmp_path: Path, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SAMPLE_PATCHES", 1024)
    images = ("--images", f"sim:5?{FRAMES}2")
    options = ("--option", "patch_px=28")
    succeed(call, "train", "--detector", name, *options, *images, "--steps", 3, "--out", "run")
    succeed(call, "export", "run", "--only-score", "--out", "d.semedge")
    manifest = read_bundle(tmp_path / "d.semedge").manifest
    assert manifest.input.patch_px == manifest.stride_px == PATCH_PX
    assert manifest.parity[manifest.score.name].rank_correlation > 0.98
    succeed(call, "score", "--detector", "d.semedge", folders.images, "--out", "scores.csv")
    rows = list(csv.DictReader((tmp_path / "scores.csv").read_text("utf-8-sig").splitlines()))
    assert all(np.isfinite(float(row["frame_score"])) for row in rows)


def test_anogan_searches_patches_of_28_px_of_a_frame(
    call: Call, tmp_path: Path, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SAMPLE_PATCHES", 64)
    source = f"sim:5?{FRAMES}2"
    options = ("--detector", "anogan", "--option", "patch_px=28", "--steps", 2)
    succeed(call, "train", *options, "--images", source, "--out", "run")
    measured = ("--run", "run", "--patches", 8, "--search-steps", 1, "--json")
    called = succeed(call, "evaluate", *folders.given, *measured)
    assert json.loads(called.out)["protocols"]["thesis"]["scores"][0]["score"] == "inversion"
