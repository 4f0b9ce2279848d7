"""A graph that kills the process that loads it kills a child process, and is refused."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from bundles import tiny_bundle, tiny_manifest, tiny_members
from commandcall import Call
from faults import Fault
from recipes import manifest_of, recipe_parts

from semedge.core.errors import SemedgeError
from semedge.inference import graph_check
from semedge.inference.bundle import read_bundle, write_bundle
from semedge.inference.graph_check import check_graphs
from semedge.inference.manifest import Manifest
from semedge.station.recipe import RecipeManifest, write_recipe

HOSTILE = Path(__file__).parents[2] / "data" / "hostile.tflite"


def hostile_bundle(path: Path) -> Path:
    """The tiny bundle with a hostile graph, and digests that fit."""
    members = {**tiny_members(), "embedding.tflite": HOSTILE.read_bytes()}
    write_bundle(path, Manifest.model_validate(tiny_manifest(members)), members)
    return path


@pytest.mark.fault(Fault.GRAPH)
def test_a_graph_that_kills_its_process_is_refused(tmp_path: Path) -> None:
    bundle = read_bundle(hostile_bundle(tmp_path / "hostile.semedge"))
    # What the runtime reads in place of the missing inputs differs from run to run.
    with pytest.raises(SemedgeError, match=r"cannot be run(: .*SIGSEGV| by the TFLite runtime)"):
        check_graphs(bundle)


@pytest.mark.fault(Fault.GRAPH)
def test_the_signal_that_ends_the_child_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = tmp_path / "killed"
    killed.write_text("#!/bin/sh\nkill -SEGV $$\n")
    killed.chmod(0o755)
    monkeypatch.setattr(graph_check.sys, "executable", str(killed))
    bundle = read_bundle(tiny_bundle(tmp_path / "tiny.semedge"))
    with pytest.raises(SemedgeError, match=r"tiny\.semedge cannot be run: .* SIGSEGV"):
        check_graphs(bundle, image=np.zeros((40, 50), np.uint8))


@pytest.mark.fault(Fault.GRAPH)
def test_the_commands_refuse_it_in_one_sentence(call: Call, tmp_path: Path) -> None:
    detector = hostile_bundle(tmp_path / "hostile.semedge")
    recipe = tmp_path / "hostile.recipe"
    _, calibration = recipe_parts()
    manifest = RecipeManifest.model_validate(manifest_of(detector.read_bytes(), calibration))
    write_recipe(recipe, manifest, detector.read_bytes(), calibration)
    for arguments in (
        ("recipe", "check", recipe),
        ("watch", "--camera", "sim:1", "--recipe", recipe, "--journal", tmp_path / "j.sqlite"),
    ):
        result = call(*arguments)
        assert result.status == 1
        assert "cannot be run" in result.err
        assert len(result.err.splitlines()) == 1


def test_a_good_bundle_passes_and_is_checked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = read_bundle(tiny_bundle(tmp_path / "tiny.semedge"))
    check_graphs(bundle, image=np.zeros((64, 80), np.uint8))
    monkeypatch.setattr(graph_check.subprocess, "Popen", None)
    check_graphs(bundle, image=np.zeros((64, 80), np.uint8))


def test_a_frame_that_cannot_be_scored_is_named(tmp_path: Path) -> None:
    bundle = read_bundle(tiny_bundle(tmp_path / "tiny.semedge"))
    with pytest.raises(SemedgeError, match="80x18"):
        check_graphs(bundle, image=np.zeros((18, 80), np.uint8))


@pytest.mark.fault(Fault.GRAPH)
def test_a_check_that_takes_too_long_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = read_bundle(tiny_bundle(tmp_path / "tiny.semedge"))
    monkeypatch.setattr(graph_check, "LIMIT_S", -4.9)
    began_s = time.monotonic()
    with pytest.raises(SemedgeError, match="longer than"):
        check_graphs(bundle, image=np.zeros((48, 48), np.uint8))
    assert time.monotonic() - began_s < 5
