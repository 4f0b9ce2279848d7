"""A test event goes through every sink, and each is reported."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from commandcall import Call

from semedge.journal.journal import Journal
from semedge.journal.query import Query
from semedge.journal.reader import JournalReader

STATION = """
[station]
name = "line 4"
[journal]
file = "journal.sqlite"
[sinks.lamp]
kind = "command"
argv = ["sh", "-c", "cat > given.json"]
"""
BROKEN = """
[sinks.broken]
kind = "command"
argv = ["sh", "-c", "echo no lamp >&2; exit 3"]
"""
HANGING = """
[sinks.hanging]
kind = "command"
argv = ["sleep", "20"]
"""


@pytest.fixture
def station(tmp_path: Path) -> Path:
    path = tmp_path / "semedge.toml"
    path.write_text(STATION)
    return path


def test_every_sink_gets_the_event(call: Call, station: Path, tmp_path: Path) -> None:
    result = call("test-alert", "--station", station)
    assert result.status == 0, result.err
    assert result.out.splitlines()[0].startswith("console accepted it")
    assert result.out.splitlines()[1].startswith("lamp accepted it")
    assert "test of the alerts" in result.err
    given = json.loads((tmp_path / "given.json").read_text())
    assert (given["kind"], given["station"], given["number"]) == ("test", "line 4", 1)
    assert not (tmp_path / "journal.sqlite").exists()


def test_the_event_is_in_the_journal_of_a_station_that_runs(
    call: Call, station: Path, tmp_path: Path
) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:
        assert call("test-alert", "--station", station, "--json").status == 0
        assert journal.counts().pending == 0
    with JournalReader(tmp_path / "journal.sqlite") as history:
        assert [row["kind"] for row in history.rows(Query())] == ["test"]


def test_a_sink_that_fails_or_hangs_is_named_and_costs_the_others_nothing(
    call: Call, station: Path
) -> None:
    station.write_text(STATION + BROKEN + HANGING)
    started_s = time.monotonic()
    result = call("test-alert", "--station", station, "--json", "--timeout-s", 2)
    assert time.monotonic() - started_s < 10
    assert result.status == 1
    outcomes = {each["sink"]: each for each in json.loads(result.out)["sinks"]}
    assert outcomes["lamp"]["reason"] is None
    assert "no lamp" in outcomes["broken"]["reason"]
    assert " 2 s" in outcomes["hanging"]["reason"]
