"""Damaged files end in one sentence: no traceback, no hang, and nothing of them is run."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from events import EVENT
from faults import Fault
from recipes import make_recipe

from semedge.core.errors import SemedgeError
from semedge.decision.calibration_file import load_calibration
from semedge.inference.bundle import read_bundle
from semedge.inference.detector import Detector
from semedge.journal.journal import Journal
from semedge.journal.query import Query
from semedge.journal.reader import JournalReader
from semedge.journal.records import ScoreRow
from semedge.station.config.station import load_station
from semedge.station.recipe import read_recipe

pytestmark = pytest.mark.fault(Fault.DAMAGE)
MUTATIONS = [
    pytest.param(60),
    pytest.param(2000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
]
"""For each of five kinds of file: a few hundred in CI, and 10,000 in all."""

LONGEST_S = 20.0

STATION = """
[station]
name = "line 4"
[camera]
source = "rtsp://user:secret@camera/stream"
[decision]
warn = 3.0
frames_above = 2
of_frames = 3
[cameras.left]
source = "sim:1"
[cameras.left.detector]
file = "x.semedge"
[retention]
most_bytes = 5000000
[sinks.hook]
kind = "command"
argv = ["true"]
"""


def mutated(content: bytes, rng: random.Random) -> bytes:
    """The content with some damage: flipped, cut, doubled, shuffled or replaced bytes."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(data) + 1)
        length = rng.choice((1, 1, 2, 8, 64, 1024))
        part = data[at : at + length]
        match rng.randrange(7):
            case 0 if part:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at : at + length] = b""
            case 2:
                data[at:at] = rng.randbytes(length)
            case 3:
                data[at:at] = part
            case 4:
                data = data[:at]
            case 5:
                data[at : at + length] = bytes(reversed(part))
            case _:
                data[at : at + len(part)] = rng.choice((b"\0", b"\xff", b"9", b"{")) * len(part)
        if not data:
            return b""
    return bytes(data)


def refuse_or_take(read: Callable[[], object]) -> bool:
    """Whether the file was refused, which is one sentence; any other exception is a failure."""
    started_s = time.monotonic()
    message = None
    try:
        read()
    except SemedgeError as error:
        message = str(error)
    assert time.monotonic() - started_s < LONGEST_S
    if message is None:
        return False
    assert message.endswith((".", "?"))
    assert "\n" not in message
    assert "secret" not in message
    return True


Fuzz = Callable[[Path, bytes, int, Callable[[], object]], int]


@pytest.fixture
def fuzz(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Fuzz:
    """Number of refusals among so many mutations of a file."""

    def run(path: Path, content: bytes, count: int, read: Callable[[], object]) -> int:
        rng = random.Random(count)
        refused = 0
        for _ in range(count):
            path.write_bytes(mutated(content, rng))
            refused += refuse_or_take(read)
        kind = request.node.originalname.removeprefix("test_").replace("_", " ")
        record_property(kind, f"{refused:,} of {count:,} refused")
        return refused

    return run


@pytest.mark.parametrize("count", MUTATIONS)
def test_bundles(fuzz: Fuzz, tiny_file: Path, tmp_path: Path, count: int) -> None:
    path = tmp_path / "fuzzed.semedge"
    refused = fuzz(path, tiny_file.read_bytes(), count, lambda: read_bundle(path))
    # What is taken differs in bytes that no digest covers, such as the archive's dates.
    assert refused > 0.8 * count


@pytest.mark.parametrize("count", MUTATIONS)
def test_calibrations(
    fuzz: Fuzz, tiny_file: Path, calibration_file: Path, tmp_path: Path, count: int
) -> None:
    path = tmp_path / "fuzzed.json"
    with Detector.load(tiny_file, workers=1) as detector:
        refused = fuzz(
            path, calibration_file.read_bytes(), count, lambda: load_calibration(path, detector)
        )
    assert refused > 0.5 * count


@pytest.mark.parametrize("count", MUTATIONS)
def test_recipes(fuzz: Fuzz, tmp_path: Path, count: int) -> None:
    path = make_recipe(tmp_path / "fuzzed.recipe")
    refused = fuzz(path, path.read_bytes(), count, lambda: read_recipe(path))
    assert refused > 0.8 * count


@pytest.mark.parametrize("count", MUTATIONS)
def test_station_files(fuzz: Fuzz, tmp_path: Path, count: int) -> None:
    path = tmp_path / "semedge.toml"
    refused = fuzz(path, STATION.encode(), count, lambda: load_station(path))
    assert 0 < refused < count


@pytest.mark.parametrize("count", MUTATIONS)
def test_journals(fuzz: Fuzz, tmp_path: Path, count: int) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        run = journal.start_run("left", "sim:1", "ab" * 32, 2.0)
        for number in range(20):
            journal.add_event(EVENT, ["mqtt"], run)
            journal.add_scores([ScoreRow(run, float(number), number, 0.5, None)])
        journal.save_setting("left", "armed", {"alarm": 3.0})
    content = path.read_bytes()

    def use() -> None:
        for name in ("-wal", "-shm", "-reserve"):
            path.with_name(f"{path.name}{name}").unlink(missing_ok=True)
        with Journal(path) as journal:
            journal.counts()
            journal.pending("mqtt", 50)
            journal.unended_events()
            journal.setting("left", "armed")
            journal.add_event(EVENT, ["mqtt"])
        with JournalReader(path) as history:
            list(history.documents(Query()))
            list(history.rows(Query("scores")))

    refused = fuzz(path, content, count, use)
    assert refused > 0.3 * count
