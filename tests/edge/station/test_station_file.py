"""The station file gives settings, and its faults are reported."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

import semedge.sinks.base
from semedge.core.errors import SemedgeError
from semedge.core.section import Secret
from semedge.sinks.registry import AnySection
from semedge.sinks.section import SinkSection
from semedge.sinks.webhook import WebhookSection
from semedge.station.config.station import Station, load_station
from semedge.web.section import WebSection

WHOLE = """
[camera]
source = "rtsp://camera.local/stream"
timeout_s = 4
loop = false

[detector]
file = "detector.semedge"
stride_px = 16
workers = 2

[calibration]
file = "/srv/calibration.json"

[journal]
file = "records/journal.sqlite"
pictures = "records/pictures"

[watch]
max_frames = 100
stop_after_stalled_s = 30.5
"""


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "semedge.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_whole_file(tmp_path: Path) -> None:
    station = load_station(written(tmp_path, WHOLE))
    assert written_settings(station) == {
        "camera": {"source": "rtsp://camera.local/stream", "timeout_s": 4.0, "loop": False},
        "detector": {"file": tmp_path / "detector.semedge", "stride_px": 16, "workers": 2},
        "calibration": {"file": Path("/srv/calibration.json")},
        "journal": {
            "file": tmp_path / "records" / "journal.sqlite",
            "pictures": tmp_path / "records" / "pictures",
        },
        "watch": {"max_frames": 100, "stop_after_stalled_s": 30.5},
    }


def written_settings(station: Station) -> dict[str, dict[str, Any]]:
    """The settings in the tables of the file."""
    return station.model_dump(exclude_unset=True)


@pytest.mark.parametrize("text", ["", "[camera]\n", "# only a remark\n[watch]\n[journal]\n"])
def test_an_empty_table_sets_nothing(tmp_path: Path, text: str) -> None:
    assert not any(written_settings(load_station(written(tmp_path, text))).values())


def descriptions(table: type[BaseModel]) -> Iterator[tuple[str, str | None]]:
    for name, field in table.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield name, (field.annotation.__doc__ or "").strip()
            yield from descriptions(field.annotation)
        else:
            yield name, field.description


SINKS = [row for section in get_args(AnySection) for row in descriptions(section)]


@pytest.mark.parametrize(
    ("name", "description"), [*descriptions(Station), *descriptions(WebSection), *SINKS]
)
def test_every_setting_is_described(name: str, description: str | None) -> None:
    assert description, name
    assert description.endswith(".")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("[camera]\nsorce = 'sim:1'", r"camera\.sorce .*\bsource\?"),
        ("[kamera]\nsource = 'sim:1'", r"kamera .*\bcamera\?"),
        (
            "[watch]\nzzz = 1",
            r"watch\.zzz .* max_frames, stop_after_stalled_s, require_check\.",
        ),
        ("camera = 'sim:1'", "camera = 'sim:1' "),
        ("[camera]\ntimeout_s = 0", "camera.timeout_s = 0 .*greater than 0"),
        ("[camera]\ntimeout_s = inf", "camera.timeout_s = inf .*finite"),
        ("[camera]\ntimeout_s = 'soon'", "camera.timeout_s = 'soon' .*number"),
        ("[detector]\nstride_px = 1.5", "detector.stride_px = 1.5 "),
        ("[detector]\nworkers = 0", "detector.workers = 0 "),
        ("[decision]\nof_frame = 3", r"decision\.of_frame .*\bof_frames\?"),
        ("[decision]\ncool_down_s = -1", "decision.cool_down_s = -1 "),
        ("[decision]\nframes_above = 2", r"decision = \{.*\bof_frames\b"),
        ("[drift]\nend_abov = 0.1", r"drift\.end_abov .*\bend_above\?"),
        ("[camera]\nregion_px = [0, 0, 0, 8]", "camera.region_px.2 = 0 "),
        ("[camera.features]\nA = [1]", "camera.features = .* .A .*number.*"),
        ("[station]\nname = ''", "station.name = '' "),
        ("[cameras.left]\nsorce = 'x'", r"cameras\.left\.sorce .*\bsource\?"),
        (
            "[cameras.left.detector]\nfle = 'x'",
            r"cameras\.left\.detector\.fle .*\bfile\?",
        ),
        ("[cameras.'a b']\nsource = 'x'", r"cameras.a b.\[key\] = 'a b' "),
        ("[camera\nsource = 1", r"TOML: .*line 1\b"),
        (b"\xff\xfe[camera]", "TOML: .*utf-8"),
        ("[sinks.mes]\nkind = 'webhook'\nulr = 'x'", r"mes\.ulr .*\burl\?"),
        (
            "[sinks.mes]\nkind = 'webhook'\ntoken = { envv = 'X' }",
            r"sinks\.mes\.token\.envv .*\benv\?",
        ),
        ("[sinks.mes]\nkind = 'webhok'", "'webhok' .*'webhook'"),
        ("[sinks.console]\nkind = 'webhook'", "sinks = .* .console "),
        ("[sinks.mes]\nkind = 'webhook'\ntoken = { }", "mes.token = .* env .* file "),
    ],
)
def test_faults_are_reported_in_one_sentence(
    tmp_path: Path, text: str | bytes, values: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SemedgeError, match=values) as caught:
        load_station(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["token = 's3cret'", "url = 'http://user:s3cret@host/'", "proxy = ['http://u:s3cret@h']"],
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, f"[sinks.mes]\nkind = 'webhook'\n{text}\n")
    with pytest.raises(SemedgeError) as caught:
        load_station(path)
    assert "s3cret" not in str(caught.value)


def test_files_of_sinks_count_from_the_file(tmp_path: Path) -> None:
    text = """
    [sinks.mes]
    kind = "webhook"
    url = "https://mes.local/alerts"
    ca_file = "ca.pem"
    token = { file = "secrets/token" }
    """
    sink = load_station(written(tmp_path, text)).sinks["mes"]
    assert isinstance(sink, WebhookSection)
    assert sink.ca_file == tmp_path / "ca.pem"
    assert sink.token == Secret(file=tmp_path / "secrets" / "token")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SemedgeError, match=r"absent\.toml .*\(No such file"):
        load_station(tmp_path / "absent.toml")


def test_every_kind_of_sink_can_be_named() -> None:
    for module in pkgutil.iter_modules(semedge.sinks.__path__, "semedge.sinks."):
        importlib.import_module(module.name)
    kinds = {
        each
        for each in _below(SinkSection)
        if "kind" in each.model_fields and each.__module__.startswith("semedge.")
    }
    assert kinds == set(get_args(AnySection))


def _below(section: type[SinkSection]) -> Iterator[type[SinkSection]]:
    for each in section.__subclasses__():
        yield each
        yield from _below(each)
