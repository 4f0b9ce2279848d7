"""The station file gives settings, and what is wrong with it is said."""

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
    assert said(station) == {
        "camera": {"source": "rtsp://camera.local/stream", "timeout_s": 4.0, "loop": False},
        "detector": {"file": tmp_path / "detector.semedge", "stride_px": 16, "workers": 2},
        "calibration": {"file": Path("/srv/calibration.json")},
        "journal": {
            "file": tmp_path / "records" / "journal.sqlite",
            "pictures": tmp_path / "records" / "pictures",
        },
        "watch": {"max_frames": 100, "stop_after_stalled_s": 30.5},
    }


def said(station: Station) -> dict[str, dict[str, Any]]:
    """What the file says of its tables."""
    return station.model_dump(exclude_unset=True)


@pytest.mark.parametrize("text", ["", "[camera]\n", "# only a remark\n[watch]\n[journal]\n"])
def test_what_the_file_does_not_say_stays_open(tmp_path: Path, text: str) -> None:
    assert not any(said(load_station(written(tmp_path, text))).values())


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
    ("text", "said"),
    [
        ("[camera]\nsorce = 'sim:1'", "camera.sorce is not a setting; did you mean source"),
        ("[kamera]\nsource = 'sim:1'", "kamera is not a setting; did you mean camera"),
        (
            "[watch]\nzzz = 1",
            "watch.zzz is not a setting; known are max_frames, stop_after_stalled_s, require_check",
        ),
        ("camera = 'sim:1'", "camera = 'sim:1' is not allowed"),
        ("[camera]\ntimeout_s = 0", "camera.timeout_s = 0 is not allowed .*greater than 0"),
        ("[camera]\ntimeout_s = inf", "camera.timeout_s = inf is not allowed .*finite"),
        ("[camera]\ntimeout_s = 'soon'", "camera.timeout_s = 'soon' is not allowed .*number"),
        ("[detector]\nstride_px = 1.5", "detector.stride_px = 1.5 is not allowed"),
        ("[detector]\nworkers = 0", "detector.workers = 0 is not allowed"),
        ("[decision]\nof_frame = 3", "decision.of_frame is not a setting; did you mean of_frames"),
        ("[decision]\ncool_down_s = -1", "decision.cool_down_s = -1 is not allowed"),
        ("[decision]\nframes_above = 2", "decision = {.* is not allowed .*not be above of_frames"),
        ("[drift]\nend_abov = 0.1", "drift.end_abov is not a setting; did you mean end_above"),
        ("[camera]\nregion_px = [0, 0, 0, 8]", "camera.region_px.2 = 0 is not allowed"),
        ("[camera.features]\nA = [1]", "camera.features = .* is not allowed .A takes a text"),
        ("[station]\nname = ''", "station.name = '' is not allowed"),
        ("[cameras.left]\nsorce = 'x'", "cameras.left.sorce is not a setting; did you mean source"),
        (
            "[cameras.left.detector]\nfle = 'x'",
            "cameras.left.detector.fle is not a setting; did you mean file",
        ),
        ("[cameras.'a b']\nsource = 'x'", r"cameras.a b.\[key\] = 'a b' is not allowed"),
        ("[camera\nsource = 1", "is not TOML: .*line 1"),
        (b"\xff\xfe[camera]", "is not TOML"),
        ("[sinks.mes]\nkind = 'webhook'\nulr = 'x'", "mes.ulr is not a setting; did you mean url"),
        (
            "[sinks.mes]\nkind = 'webhook'\ntoken = { envv = 'X' }",
            "sinks.mes.token.envv is not a setting; did you mean env",
        ),
        ("[sinks.mes]\nkind = 'webhok'", "Input tag 'webhok' found .* expected .*'webhook'"),
        ("[sinks.console]\nkind = 'webhook'", "sinks = .* is not allowed .console is"),
        ("[sinks.mes]\nkind = 'webhook'\ntoken = { }", "mes.token = .* .give either . env"),
    ],
)
def test_faults_are_said_in_one_sentence(tmp_path: Path, text: str | bytes, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SemedgeError, match=said) as caught:
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


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(SemedgeError, match=r"absent\.toml cannot be read"):
        load_station(tmp_path / "absent.toml")


def test_every_kind_of_sink_can_be_named() -> None:
    for module in pkgutil.iter_modules(semedge.sinks.__path__, "semedge.sinks."):
        importlib.import_module(module.name)
    kinds = {each for each in _below(SinkSection) if "kind" in each.model_fields}
    assert kinds == set(get_args(AnySection))


def _below(section: type[SinkSection]) -> Iterator[type[SinkSection]]:
    for each in section.__subclasses__():
        yield each
        yield from _below(each)
