"""Settings that expose the station are warned of, one sentence each."""

from __future__ import annotations

from pathlib import Path

import pytest

from semedge.core.errors import SemedgeError
from semedge.station.config.station import load_station
from semedge.station.exposure import warn_of_exposure


def test_what_others_can_read_guess_or_change_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content in (("token", "x"), ("long", "correct horse battery"), ("key.pem", "")):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o600)
    recipes = tmp_path / "recipes"
    recipes.mkdir()
    file = tmp_path / "semedge.toml"
    file.write_text(
        '[station]\nrecipes = "recipes"\n[web]\ntoken = { file = "token" }\n'
        'operator_token = { file = "long" }\nprivate_key = "key.pem"\n'
        '[sinks.plc]\nkind = "opcua"\nprivate_key = "key.pem"\n'
    )
    station = load_station(file)
    warn_of_exposure(station)
    (warning,) = capsys.readouterr().err.splitlines()
    assert "web.token has fewer than" in warning
    (tmp_path / "token").write_text("correct horse battery")
    warn_of_exposure(station)
    assert capsys.readouterr().err == ""
    (tmp_path / "key.pem").chmod(0o644)
    recipes.chmod(0o777)
    warn_of_exposure(station)
    warnings = capsys.readouterr().err
    assert len(warnings.splitlines()) == 3
    for part in ("web.private_key", "sinks.plc.private_key", f"chmod o-w {recipes}"):
        assert part in warnings


def test_sinks_that_take_requests_from_anyone_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "semedge.toml"
    file.write_text(
        '[sinks.plant]\nkind = "opcua"\naccept_settings = true\n'
        '[sinks.broker]\nkind = "mqtt"\nhost = "broker"\naccept_settings = true\n'
        '[sinks.quiet]\nkind = "opcua"\nport = 4841\n'
    )
    warn_of_exposure(load_station(file))
    plant, broker = capsys.readouterr().err.splitlines()
    assert "sinks.plant" in plant
    assert "sinks.broker" in broker


def test_a_name_with_a_line_break_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "semedge.toml"
    file.write_text('[station]\nname = "line\\r\\n4"\n')
    with pytest.raises(SemedgeError, match=r"station\.name.*control characters"):
        load_station(file)
