"""Only what the right key signed is accepted."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from commandcall import Call
from faults import Fault
from recipes import make_recipe

from semedge.core.errors import SemedgeError
from semedge.decision.defect import DecisionSettings
from semedge.station.camera_plan import CameraPlan
from semedge.station.camera_setup import SourceChoice
from semedge.station.config.sections import DetectorSection
from semedge.station.load import load_recipe, load_setup


def key_pair(folder: Path, name: str) -> tuple[Path, Path]:
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    for arguments in (
        f"genpkey -algorithm ed25519 -out {private}",
        f"pkey -in {private} -pubout -out {public}",
    ):
        subprocess.run(["openssl", *arguments.split()], check=True, timeout=30)
    return private, public


@pytest.fixture
def plan(tmp_path: Path) -> CameraPlan:
    _, public = key_pair(tmp_path, "line")
    return CameraPlan(
        "left",
        SourceChoice("sim:1"),
        DetectorSection(workers=1),
        None,
        DecisionSettings(),
        public_key=public,
    )


@pytest.mark.fault(Fault.BRICK)
def test_a_recipe_is_used_only_where_the_key_signed_it(
    plan: CameraPlan, call: Call, tmp_path: Path
) -> None:
    path = make_recipe(tmp_path / "fibre.recipe")
    with pytest.raises(SemedgeError, match=r"must be signed.*No such file"):
        load_recipe(plan, path)
    stranger, _ = key_pair(tmp_path, "stranger")
    assert call("recipe", "sign", path, "--key", stranger).status == 0
    with pytest.raises(SemedgeError, match=r"fibre\.recipe\.sig was not made .*line\.pub"):
        load_recipe(plan, path)
    assert call("recipe", "sign", path, "--key", tmp_path / "line.pem").status == 0
    load_recipe(plan, path).detector.close()
    make_recipe(path, note="another one")
    with pytest.raises(SemedgeError, match="was not made"):
        load_recipe(plan, path)


@pytest.mark.fault(Fault.BRICK)
def test_a_detector_is_used_only_where_the_key_signed_it(
    plan: CameraPlan, call: Call, tmp_path: Path, tiny_file: Path, calibration_file: Path
) -> None:
    detector = tmp_path / "tiny.semedge"
    detector.write_bytes(tiny_file.read_bytes())
    plan = replace(
        plan, detector=DetectorSection(file=detector, workers=1), calibration=calibration_file
    )
    with pytest.raises(SemedgeError, match="must be signed"):
        load_setup(plan)
    assert call("recipe", "sign", detector, "--key", tmp_path / "line.pem").status == 0
    load_setup(plan).detector.close()


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PUBLIC KEY-----\n"])
def test_a_key_that_is_none_is_refused(plan: CameraPlan, tmp_path: Path, content: bytes) -> None:
    path = make_recipe(tmp_path / "fibre.recipe")
    key = tmp_path / "other.pub"
    key.write_bytes(content)
    with pytest.raises(SemedgeError, match=r"other\.pub cannot be read"):
        load_recipe(replace(plan, public_key=key), path)
