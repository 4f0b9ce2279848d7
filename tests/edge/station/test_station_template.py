"""`semedge init`: a station file that is read as it stands, and line by line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from commandcall import Call

from semedge.station.config.station import Station, load_station
from semedge.station.config.template import station_template


def test_the_file_is_read_and_changes_nothing(call: Call, tmp_path: Path) -> None:
    assert call("init").status == 0
    read = load_station(tmp_path / "semedge.toml")
    assert read.model_dump() == Station().model_dump()
    assert read.web is None
    assert read.sinks == {}


def test_camera_and_recipe_are_written(call: Call, tmp_path: Path) -> None:
    result = call("init", "--camera", "sim:1", "--recipe", "fibre.recipe", "--out", "line.toml")
    assert result.status == 0
    assert "semedge watch --station line.toml" in result.err
    read = load_station(tmp_path / "line.toml")
    assert read.camera.source == "sim:1"
    assert read.recipe.file == tmp_path / "fibre.recipe"


def test_a_file_that_exists_is_kept(call: Call, tmp_path: Path) -> None:
    (tmp_path / "semedge.toml").write_text("# mine")
    result = call("init")
    assert result.status == 1
    assert "--out" in result.err
    assert (tmp_path / "semedge.toml").read_text() == "# mine"


def test_every_setting_is_there_with_its_description() -> None:
    text = station_template("semedge.toml", {})
    for table, field in Station.model_fields.items():
        if table in ("cameras", "sinks"):
            continue
        assert f"[{table}]" in text
        assert field is not None
    assert "# alarm = " in text
    assert "#   Name that events carry." in text
    assert 'kind = "mqtt"' in text


DEFAULTS = re.findall(
    r"^# (\w+ = (?!\"\"|0$|\{ env|\[\]|\{\}).+)$", station_template("x", {}), re.M
)


@pytest.mark.parametrize("table", ["decision", "health", "retention", "drift", "watch"])
def test_defaults_can_be_uncommented(tmp_path: Path, table: str) -> None:
    text = station_template("semedge.toml", {})
    part = text.split(f"\n[{table}]\n")[1].split("\n[")[0].split("\n# [")[0]
    lines = [line[2:] for line in part.splitlines() if line[2:] in DEFAULTS]
    assert lines
    path = tmp_path / "semedge.toml"
    path.write_text(f"[{table}]\n" + "\n".join(lines) + "\n")
    assert getattr(load_station(path), table).model_dump() == getattr(Station(), table).model_dump()
