"""A recipe is whole or refused, and a running watch is switched to it without losing a frame."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bundles import tiny_manifest, tiny_members
from commandcall import Call
from faults import Fault
from recipes import manifest_of, recipe_parts

from semedge.core.errors import SemedgeError
from semedge.core.zip_file import pack, unpack
from semedge.decision.defect import Levels
from semedge.inference.bundle import array_content, write_bundle
from semedge.inference.manifest import Manifest
from semedge.station.recipe import (
    ARCHIVE,
    CALIBRATION,
    DETECTOR,
    MANIFEST,
    RecipeManifest,
    read_recipe,
    recipes_in,
    write_recipe,
)

TAKEN = {
    "version": 3,
    "decision": {"warn": 1.0, "of_frames": 3},
    "camera": {"exposure_us": 500.0},
}


@pytest.fixture
def parts(tiny_file: Path, calibration_file: Path) -> tuple[bytes, bytes]:
    return tiny_file.read_bytes(), calibration_file.read_bytes()


@pytest.fixture
def recipe_file(parts: tuple[bytes, bytes], tmp_path: Path) -> Path:
    path = tmp_path / "fibre.recipe"
    write_recipe(path, RecipeManifest.model_validate(manifest_of(*parts, **TAKEN)), *parts)
    return path


def test_a_recipe_comes_back_as_it_was_made(recipe_file: Path, parts: tuple[bytes, bytes]) -> None:
    recipe = read_recipe(recipe_file)
    assert recipe.sha256 == hashlib.sha256(recipe_file.read_bytes()).hexdigest()
    assert (recipe.identity.name, recipe.identity.version) == ("fibre", 3)
    assert recipe.bundle.sha256 == hashlib.sha256(parts[0]).hexdigest()
    assert recipe.manifest.camera.exposure_us == 500.0
    detector, calibration = recipe.load(workers=1)
    detector.close()
    assert recipe.manifest.decision.levels(calibration.threshold) == Levels(
        calibration.threshold, 1.0
    )


def test_the_same_parts_make_the_same_bytes(
    recipe_file: Path, parts: tuple[bytes, bytes], tmp_path: Path
) -> None:
    again = tmp_path / "again.recipe"
    write_recipe(again, RecipeManifest.model_validate(manifest_of(*parts, **TAKEN)), *parts)
    assert again.read_bytes() == recipe_file.read_bytes()


def with_member(name: str, change: Callable[[bytes], bytes | None]) -> Callable[[bytes], bytes]:
    def changed(content: bytes) -> bytes:
        files = unpack(content, ARCHIVE, ValueError)
        new = change(files.pop(name))
        return pack(files if new is None else files | {name: new})

    return changed


def with_manifest(**changes: object) -> Callable[[bytes], bytes]:
    return with_member(
        MANIFEST, lambda raw: json.dumps({**json.loads(raw), **changes}, allow_nan=True).encode()
    )


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda content: b"no archive", "zip"),
        (lambda content: content[: len(content) // 2], "zip"),
        (with_member(MANIFEST, lambda raw: None), r"no recipe\.json"),
        (with_member(DETECTOR, lambda raw: None), r"no detector\.semedge"),
        (with_member(CALIBRATION, lambda raw: raw + b" "), r"digest of calibration\.json"),
        (with_member(DETECTOR, lambda raw: raw[:-1] + b"x"), r"digest of detector\.semedge"),
        (with_member(MANIFEST, lambda raw: b"{"), "recipe.json"),
        (with_manifest(format_version=2), r"\b2\b.*\b1\b"),
        (with_manifest(name="../../etc"), "recipe.json name"),
        (with_manifest(version=0), "recipe.json version"),
        (with_manifest(script="rm"), "recipe.json script"),
        (with_manifest(decision={"warn": float("nan")}), "recipe.json"),
        (with_manifest(decision={"of_frames": 0}), "recipe.json decision.of_frames"),
        (
            with_manifest(camera={"exposure": 3}),
            r"recipe\.json camera\.exposure: .* exposure_us\?",
        ),
        (with_manifest(camera={"region_px": [0, 0, 0, 8]}), "recipe.json camera.region_px.2"),
        (with_manifest(camera={"exposure_us": "long"}), "recipe.json camera.exposure_us"),
        (lambda content: content + pack({"x": b""}), "'x'"),
    ],
)
def test_a_damaged_recipe_is_refused_in_one_sentence(
    recipe_file: Path, change: Callable[[bytes], bytes], fault: str
) -> None:
    recipe_file.write_bytes(change(recipe_file.read_bytes()))
    with pytest.raises(SemedgeError, match=fault) as caught:
        read_recipe(recipe_file)
    assert str(recipe_file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_compressed_recipe_is_refused(recipe_file: Path) -> None:
    with zipfile.ZipFile(recipe_file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MANIFEST, "0" * 100_000)
    with pytest.raises(SemedgeError, match=r"recipe\.json .*compressed"):
        read_recipe(recipe_file)


def test_a_calibration_of_another_stride_is_refused(
    parts: tuple[bytes, bytes], tmp_path: Path
) -> None:
    path = tmp_path / "fibre.recipe"
    manifest = RecipeManifest.model_validate(manifest_of(*parts, stride_px=16))
    write_recipe(path, manifest, *parts)
    with pytest.raises(SemedgeError, match=r"fibre\.recipe .*stride 32\b.*\b16\b"):
        read_recipe(path).load(workers=1)


def test_levels_that_do_not_fit_the_calibration_are_refused(
    parts: tuple[bytes, bytes], tmp_path: Path
) -> None:
    path = tmp_path / "fibre.recipe"
    manifest = RecipeManifest.model_validate(manifest_of(*parts, decision={"warn": 1e9}))
    write_recipe(path, manifest, *parts)
    with pytest.raises(SemedgeError, match=r"Received: 1e\+09"):
        read_recipe(path).load(workers=1)


def test_a_folder_of_recipes_is_listed_by_name(recipe_file: Path) -> None:
    (recipe_file.parent / "b.recipe").write_bytes(b"")
    (recipe_file.parent / "a.recipe").mkdir()
    assert [path.name for path in recipes_in(recipe_file.parent)] == ["b.recipe", "fibre.recipe"]


def test_the_command_makes_shows_and_checks(
    call: Call, tiny_file: Path, calibration_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new.recipe"
    station = tmp_path / "semedge.toml"
    station.write_text("[decision]\nof_frames = 4\nframes_above = 2\n")
    made = call(
        *("recipe", "make", "--name", "fibre", "--recipe-version", 2, "--warn", 1.5, "--json"),
        *("--detector", tiny_file, "--calibration", calibration_file, "--station", station),
        *("--out", out),
    )
    assert made.status == 0, made.err
    document = json.loads(made.out)
    assert (document["name"], document["version"]) == ("fibre", 2)
    assert document["decision"]["frames_above"] == 2
    assert document["decision"]["warn"] == 1.5
    assert document["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    shown = call("recipe", "show", out)
    assert shown.status == 0
    assert "frames_above 2" in shown.out
    checked = call("recipe", "check", out, "--json")
    assert checked.status == 0
    assert "at most 10 % of normal frames" in json.loads(checked.out)["guarantee"]
    assert f"{out} can be used" in checked.err


def test_a_level_below_the_threshold_promises_nothing(
    call: Call, tiny_file: Path, calibration_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new.recipe"
    made = call(
        *("recipe", "make", "--name", "fibre", "--alarm", 1e-6, "--json"),
        *("--detector", tiny_file, "--calibration", calibration_file, "--out", out),
    )
    assert made.status == 0, made.err
    assert json.loads(made.out)["guarantee"] is None
    assert "The alarm level 1e-06 is below the calibrated threshold" in made.err


def test_a_recipe_holds_the_settings_of_the_camera_that_it_is_made_for(
    call: Call, tiny_file: Path, calibration_file: Path, tmp_path: Path
) -> None:
    station, out = tmp_path / "semedge.toml", tmp_path / "new.recipe"
    given = [
        *("recipe", "make", "--name", "fibre", "--detector", tiny_file, "--json"),
        *("--calibration", calibration_file, "--station", station, "--out", out),
    ]
    settings = """
        exposure_us = 800.0
        gain = 6.0
        frame_rate_hz = 20.0
        region_px = [0, 16, 640, 480]
        pixel_format = "Mono12"
        trigger = "Line1"
        crop_bottom_px = 40
        features = { BlackLevel = 4 }
    """
    everything = {
        "exposure_us": 800.0,
        "gain": 6.0,
        "frame_rate_hz": 20.0,
        "region_px": [0, 16, 640, 480],
        "pixel_format": "Mono12",
        "trigger": "Line1",
        "crop_bottom_px": 40,
        "features": [["BlackLevel", "4"]],
    }
    station.write_text(f"[camera]\n{settings}")
    made = call(*given)
    assert made.status == 0, made.err
    everything |= {
        "bits": None,
        "pixel_size_um": None,
        "leave_out_px": [],
        "leave_out_mask": None,
        "recursive": False,
        "follow": False,
        "move_to": None,
    }
    everything |= {f"crop_{edge}_px": 0 for edge in ("top", "left", "right")}
    assert json.loads(made.out)["camera"] == everything
    assert read_recipe(out).manifest.camera.region_px == (0, 16, 640, 480)
    shown = call("recipe", "show", out).out
    assert "exposure_us 800.0, gain 6.0" in shown

    overridden = call(*given, "--exposure-us", 900, "--crop-bottom-px", 8)
    expected = {**everything, "exposure_us": 900.0, "crop_bottom_px": 8}
    assert json.loads(overridden.out)["camera"] == expected

    station.write_text(
        f"[cameras.left]\n{settings}\n[cameras.left.decision]\nof_frames = 9\n[cameras.right]\n"
    )
    left = json.loads(call(*given, "--camera", "left").out)
    assert (left["camera"], left["decision"]["of_frames"]) == (everything, 9)
    right = json.loads(call(*given, "--camera", "right").out)
    assert (right["camera"]["gain"], right["decision"]["of_frames"]) == (None, 1)
    for more, values in (
        ((), "left, right; "),
        (("--camera", "top"), "Received: top."),
    ):
        assert values in call(*given, *more).err


def test_a_recipe_that_cannot_be_run_is_not_made(
    call: Call, tiny_file: Path, calibration_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new.recipe"
    given = ["recipe", "make", "--calibration", calibration_file, "--out", out]
    for more, values in (
        (["--name", "fibre"], "run `semedge calibrate`"),
        (["--name", "a b", "--detector", tiny_file], "name = 'a b' "),
        (["--name", "fibre", "--detector", tiny_file, "--warn", 1e9], "Received: 1e+09"),
        (["--name", "fibre", "--detector", tmp_path / "gone"], "/gone "),
    ):
        result = call(*given, *more)
        assert result.status == 1
        assert values in result.err
    assert not list(tmp_path.glob("*.recipe")) + list(tmp_path.glob(".*making"))


def test_watch_runs_a_recipe(
    call: Call, recipe_file: Path, parts: tuple[bytes, bytes], images: Path
) -> None:
    plain = RecipeManifest.model_validate(manifest_of(*parts, decision={}, camera={}))
    write_recipe(recipe_file, plain, *parts)
    result = call("watch", "--camera", images, "--recipe", recipe_file, "--workers", 1, "--json")
    assert result.status == 0, result.err
    events = [json.loads(line) for line in result.out.splitlines()]
    assert [event["phase"] for event in events] == ["start", "end"]
    assert {event["recipe_sha256"] for event in events} == {
        hashlib.sha256(recipe_file.read_bytes()).hexdigest()
    }
    both = call(
        *("watch", "--camera", images, "--recipe", recipe_file, "--detector", recipe_file),
    )
    assert both.status == 2
    assert "give one or the other" in both.err


PEAK = """
import re, sys
from pathlib import Path
from semedge.station.recipe import read_recipe
def kib(name):
    return int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
Path("/proc/self/clear_refs").write_text("5")  # resets the peak
before = kib("VmRSS")
read_recipe(sys.argv[1])
print((kib("VmHWM") - before) * 1024)
"""


@pytest.mark.fault(Fault.GRAPH)
def test_a_large_recipe_is_read_member_by_member(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    big = {f"big{number}.npy": array_content(np.zeros(2**20, np.float32)) for number in range(24)}
    members = {**tiny_members(), **big}
    bundle = tmp_path / "big.semedge"
    write_bundle(bundle, Manifest.model_validate(tiny_manifest(members)), members)
    _, calibration = recipe_parts()
    manifest = RecipeManifest.model_validate(manifest_of(bundle.read_bytes(), calibration))
    path = tmp_path / "big.recipe"
    write_recipe(path, manifest, bundle.read_bytes(), calibration)
    result = subprocess.run(
        [sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, timeout=60
    )
    share = int(result.stdout) / path.stat().st_size
    record_property("memory to read a recipe, of its size", f"{share:.2f}")
    assert 0.5 < share < 1.5
