"""The child process that learns: its priority, its end, and its messages."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from semedge.cameras.simulation import SimulatedLine
from semedge.core.errors import SemedgeError
from semedge.inference.bundle import demo_content, parse_bundle
from semedge.inference.detector import Detector
from semedge.inference.interpreter import worker_count
from semedge.station import learning_process
from semedge.station.learning_process import NICENESS, run_semedge


def endless_lesson(folder: Path) -> list[str]:
    arguments = ["learn", "--camera", "sim:1", "--frames", "100000", "--name", "film"]
    return [*arguments, "--out", str(folder / "film.recipe")]


def fields_of(stat: Path) -> list[str]:
    """What a process's line of /proc has after its name."""
    return stat.read_text().rpartition(")")[2].split()


def children() -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = fields_of(path)
        except OSError:
            continue
        if int(fields[1]) == os.getpid() and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def core_s_of(pid: int) -> float:
    fields = fields_of(Path(f"/proc/{pid}/stat"))
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_it_gives_the_document_and_the_last_message(tmp_path: Path) -> None:
    missing = tmp_path / "none.semedge"
    ended = run_semedge(["inspect", str(missing), "--json"], threading.Event(), 60)
    assert ended.status == 1
    assert ended.document is None
    assert ended.message.startswith("The detector ")
    assert str(missing) in ended.message


def test_the_stations_variables_set_nothing_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMEDGE_LOG", "json")
    ended = run_semedge(["inspect", "none.semedge"], threading.Event(), 60)
    assert not ended.message.startswith("{")


def test_it_yields_to_the_inspection_and_ends_when_asked(tmp_path: Path) -> None:
    over = threading.Event()
    priorities: list[int] = []
    before = set(children())

    def look() -> None:
        until_s = time.monotonic() + 20
        while NICENESS not in priorities and time.monotonic() < until_s:
            new = set(children()) - before
            priorities.extend(os.getpriority(os.PRIO_PROCESS, pid) for pid in new)
            time.sleep(0.05)
        over.set()

    looker = threading.Thread(target=look)
    looker.start()
    with pytest.raises(SemedgeError, match="was stopped"):
        run_semedge(endless_lesson(tmp_path), over, 60)
    looker.join()
    assert NICENESS in priorities
    assert set(children()) <= before


def test_it_is_ended_after_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning_process, "POLL_S", 0.02)
    with pytest.raises(SemedgeError, match="took more than 0 min and was ended"):
        run_semedge(endless_lesson(tmp_path), threading.Event(), 0.5)


@pytest.fixture
def one_core() -> Iterator[None]:
    usable = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(usable)})
    yield
    os.sched_setaffinity(0, usable)


def test_it_takes_less_than_a_fifth_of_what_an_inspection_on_every_core_takes(
    tmp_path: Path, one_core: None
) -> None:
    image = SimulatedLine(3, (512, 512), defect_rate=0.0).frame(0).image
    bundle = parse_bundle(demo_content(), "the demo detector")
    over = threading.Event()

    def learn() -> None:
        with pytest.raises(SemedgeError, match="was stopped"):
            run_semedge(endless_lesson(tmp_path), over, 240)

    before = set(children())
    learner = threading.Thread(target=learn)
    with Detector(bundle, workers=worker_count(None)) as detector:
        learner.start()
        try:
            until_s = time.monotonic() + 120
            while not (new := set(children()) - before) and time.monotonic() < until_s:
                time.sleep(0.05)
            learning = new.pop()
            learned_s = inspected_s = 0.0
            at_first_s, began_s = core_s_of(learning), time.process_time()
            # Shares of a core, unlike the pace, do not depend on what else the machine does.
            while (learned_s < 0.3 or inspected_s < 4) and time.monotonic() < until_s:
                detector.score(image)
                learned_s = core_s_of(learning) - at_first_s
                inspected_s = time.process_time() - began_s
        finally:
            over.set()
            learner.join()
    assert learned_s >= 0.3, "it goes on beside an inspection that never rests"
    assert learned_s / inspected_s < 0.2
