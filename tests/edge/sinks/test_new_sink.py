"""docs/how-to/new-sink.md: its example is installed as a package and delivers as the page shows."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest
from commandcall import Call
from pages import blocks, install
from sinks_support import EVENT

from semedge.core.errors import SemedgeError
from semedge.sinks.base import DeliveryError
from semedge.sinks.registry import open_sinks
from semedge.station.config.station import load_station

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PAGE = "how-to/new-sink.md"


@pytest.fixture
def station(site: Path, tmp_path: Path) -> Path:
    """The page's station file; the page's sink is installed."""
    (package, table), (source,) = blocks(PAGE, "toml"), blocks(PAGE, "python")
    project = tomllib.loads(package)
    (module,) = project["tool"]["setuptools"]["py-modules"]
    install(site, project["project"], {module: source})
    path = tmp_path / "semedge.toml"
    path.write_text(table)
    return path


def test_the_example_goes_from_the_station_file_to_a_line(
    station: Path, call: Call, tmp_path: Path
) -> None:
    (commands,) = blocks(PAGE, "sh")
    for line in commands.splitlines():
        program, *arguments = shlex.split(line)
        assert program == "semedge"
        result = call(*arguments)
        assert result.status == 0, result.err
    assert "shift accepted it" in result.out
    (line,) = (tmp_path / "logbook.txt").read_text().splitlines()
    assert "test" in line.lower()


def test_it_is_given_the_events_that_its_table_wants(station: Path, tmp_path: Path) -> None:
    (sink,) = open_sinks(load_station(station).sinks)
    assert sink.name == "shift"
    sink.deliver(EVENT)
    assert EVENT.message in (tmp_path / "logbook.txt").read_text()
    (tmp_path / "logbook.txt").unlink()
    (tmp_path / "logbook.txt").mkdir()
    with pytest.raises(DeliveryError, match=r"logbook\.txt \(Is a directory\)"):
        sink.deliver(EVENT)
    sink.close()


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ('fyle = "a"', r"sinks\.shift\.fyle .*\bfile\?"),
        ('prefix = "----------------------"', r"sinks\.shift\.prefix = .* 20 "),
        ("least_level = 3", r"sinks\.shift\.least_level = 3 "),
    ],
)
def test_a_wrong_key_is_refused_as_for_any_sink(station: Path, line: str, values: str) -> None:
    text = "\n".join(
        each
        for each in station.read_text().splitlines()
        if each.partition("=")[0].strip() != line.partition("=")[0].strip()
    )
    station.write_text(f"{text}\n{line}\n")
    with pytest.raises(SemedgeError, match=values):
        load_station(station)


SECTION = """
from typing import Literal
from semedge.sinks.section import SinkSection
class Own(SinkSection):
    kind: Literal["{}"]
    def open(self, name):
        raise OSError("no such port")
"""


@pytest.mark.parametrize(
    ("entry", "source", "values"),
    [
        ({"mqtt": "brought:Own"}, SECTION.format("mqtt"), r"package other .*\bmqtt\b.* semedge "),
        ({"own": "brought:Own"}, "import nothing_such", r"own of the package other .*nothing_such"),
        (
            {"own": "brought:Path"},
            "from pathlib import Path",
            r"brought:Path of the package other .* SinkSection",
        ),
        (
            {"own": "brought:Own"},
            SECTION.format("else"),
            r"own of the package other .*\bkind\b.*own",
        ),
        (
            {"own": "brought:Own"},
            SECTION.format("own"),
            r"package other .* x \(OSError: no such port\)",
        ),
    ],
)
def test_a_package_that_brings_no_sink_is_named(
    site: Path, tmp_path: Path, entry: dict[str, str], source: str, values: str
) -> None:
    project = {"name": "other", "version": "1", "entry-points": {"semedge.sinks": entry}}
    install(site, project, {"brought": source})
    path = tmp_path / "semedge.toml"
    path.write_text('[sinks.x]\nkind = "own"\n')
    with pytest.raises(SemedgeError, match=values):
        open_sinks(load_station(path).sinks)


def test_a_sink_that_is_brought_is_imported_only_when_a_file_names_it(
    site: Path, tmp_path: Path
) -> None:
    entry = {"semedge.sinks": {"own": "brought:Own"}}
    project = {"name": "other", "version": "1", "entry-points": entry}
    install(site, project, {"brought": SECTION.format("own")})
    path = tmp_path / "semedge.toml"
    path.write_text('[sinks.x]\nkind = "command"\nargv = ["true"]\n')
    load_station(path)
    assert "brought" not in sys.modules
    path.write_text('[sinks.x]\nkind = "owm"\n')
    with pytest.raises(SemedgeError, match=r"'owm'.*'kind'"):
        load_station(path)
    assert "brought" not in sys.modules
