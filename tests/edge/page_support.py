"""A live page of a station that inspects, for tests and for looking at it: `page_support.py`."""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from sinks_support import EVENT
from station_support import LEVELS, RecordingControl, active_setup_of, request_handler_of
from teaching_support import PlayedCamera, PlayedControl, teaching_of

from semedge.cameras.simulation import SimulatedLine
from semedge.core.event import Event, Level, Region
from semedge.core.frame import Frame, GrayImage
from semedge.core.section import Secret
from semedge.inference.grid import PatchGrid
from semedge.inference.overlay import draw_overlay, encode_png
from semedge.inference.score_map import ScoreMap
from semedge.journal.journal import Counters, Journal
from semedge.journal.marked_frames import MarkedFrames
from semedge.journal.reader import JournalReader
from semedge.journal.records import ScoreRow
from semedge.state.requests import MarkRequest
from semedge.state.snapshot import Inspected
from semedge.state.state import StationState
from semedge.station.marking import Marker
from semedge.station.teaching import StationTeaching
from semedge.web.section import WebSection
from semedge.web.server import PageServer

TOKEN = "correct horse battery"
SHAPE = (256, 320)
IMAGES = 6


@cache
def images() -> list[GrayImage]:
    """Frames of a simulated line."""
    line = SimulatedLine(7, SHAPE, defect_rate=0.0)
    return [line.frame(number).image for number in range(IMAGES)]


class JournaledControl(RecordingControl):
    """Notes in the journal who has seen and marked an event, and keeps frames, as a watch does."""

    journal_file: Path
    journal: Journal

    def acknowledge(self, event_id: str, who: str) -> None:
        super().acknowledge(event_id, who)
        with closing(sqlite3.connect(self.journal_file)) as connection, connection:
            connection.execute(
                "INSERT INTO acknowledgements (event_id, at, who) VALUES (?, ?, ?)",
                (event_id, "2026-11-24T06:00:00.000000Z", who),
            )

    def mark(self, request: MarkRequest, who: str) -> str:
        super().mark(request, who)
        marked = MarkedFrames(self.journal_file.parent / "pictures")
        return Marker(self.journal, marked, self.state.recent).mark(request, who)


@dataclass
class PageStation:
    """A station with a page, whose frames a test pushes."""

    folder: Path
    journal: Journal
    state: StationState
    control: JournaledControl
    server: PageServer
    teaching: StationTeaching | None = None
    number: int = 0

    @property
    def address(self) -> str:
        return self.server.address

    def inspect(self, score: float, captured_at_s: float | None = None) -> Inspected:
        """Inspect the next simulated frame, with a score as if a detector had given it."""
        image = images()[self.number % IMAGES]
        grid = PatchGrid(SHAPE, 32, 16)
        scores = np.random.default_rng(self.number).uniform(0, 4, len(grid)).astype(np.float32)
        scores[len(grid) // 3] = score
        levels = self.state.snapshot().cameras["top"].active_setup
        level: Level | None = (levels.levels if levels else LEVELS).level_of(score)
        at_s = time.time() if captured_at_s is None else captured_at_s
        frame = Frame(image, self.number, at_s, f"sim:7#{self.number}")
        last = Inspected(frame, ScoreMap(grid, scores, {}), level, {"score": 41.0, "total": 48.5})
        self.number += 1
        self.state.inspected(
            "top", last, Counters(self.number, self.number, alerts=self.number // 9)
        )
        return last

    def raise_event(self, last: Inspected, **changes: object) -> Event:
        """Store a defect with its picture."""
        score = last.score_map.frame_score
        picture = self.folder / "pictures" / f"{last.frame.sequence}.png"
        picture.write_bytes(encode_png(draw_overlay(last.frame.image, last.score_map, 9.8)))
        x, y = last.score_map.peak_px
        region = Region(x - 16, y - 16, 32, 32, 1024, (x, y), score)
        event = replace(
            EVENT,
            **{
                "event_id": f"{last.frame.sequence:032x}",
                "started_at_s": last.frame.captured_at_s,
                "captured_at_s": last.frame.captured_at_s,
                "raised_at_s": last.frame.captured_at_s,
                "frame_score": score,
                "threshold": 9.8,
                "peak_px": (x, y),
                "regions": (region,),
                "frame_picture": None,
                "overlay_picture": str(picture),
                "message": f"A bead or film at x={x} y={y}: score {score:.3g}, above 9.8.",
                **changes,
            },  # type: ignore[arg-type]
        )
        stored = self.journal.add_event(event, [])
        self.state.add_event(stored)
        return stored


@contextmanager
def page_station(
    folder: Path,
    *,
    port: int = 0,
    token: bool = True,
    host: str = "127.0.0.1",
    certificate: Path | None = None,
    private_key: Path | None = None,
    operator: str | None = None,
    viewer: str | None = None,
    names: tuple[str, ...] = (),
    taught: PlayedCamera | None = None,
) -> Iterator[PageStation]:
    """A running page with a short history; with `taught`, that camera's frames can be learned."""
    secret = folder / "token"
    secret.write_text(TOKEN)
    secret.chmod(0o600)
    others = {"operator_token": operator, "viewer_token": viewer}
    for name, word in others.items():
        (folder / name).write_text(word or "")
        (folder / name).chmod(0o600)
    (folder / "pictures").mkdir(exist_ok=True)
    state = StationState("Fibre line 1", ["top"])
    state.change("top", source="sim:7", activity="inspecting", active_setup=active_setup_of(LEVELS))
    recipes = [Path("recipes/fibre.toml"), Path("recipes/tile.toml"), Path("recipes/broken.toml")]
    control = JournaledControl(state, recipes)
    control.journal_file = folder / "journal.sqlite"
    with (
        Journal(control.journal_file) as journal,
        JournalReader(control.journal_file) as reader,
    ):
        control.journal = journal
        teaching = None
        if taught is not None:
            (folder / "recipes").mkdir()
            played = PlayedControl(folder / "recipes")
            teaching = teaching_of(taught, played, journal, folder / "teaching")
        server = PageServer(
            WebSection(
                host=host,
                port=port,
                token=Secret(file=secret) if token else None,
                **{name: Secret(file=folder / name) for name, word in others.items() if word},
                names=names,
                certificate=certificate,
                private_key=private_key,
            ),
            state,
            request_handler_of(control),
            reader,
            folder / "pictures",
            teaching=teaching,
        )
        station = PageStation(folder, journal, state, control, server, teaching)
        fill(station)
        server.start()
        try:
            yield station
        finally:
            server.close()
            if teaching is not None:
                teaching.close()
            state.recent.close()


def fill(station: PageStation) -> None:
    """Two minutes of inspection with a few defects."""
    random = np.random.default_rng(1)
    begun_s = time.time() - 120
    run = station.journal.start_run("top", "sim:7", "ab" * 32, 9.8)
    rows = []
    for number in range(240):
        score = float(random.gamma(9, 0.45))
        if number in (60, 150, 151):
            score = 12.5 + number / 100
        if number == 200:
            score = 8.9
        last = station.inspect(score, begun_s + number / 2)
        rows.append(ScoreRow(run, begun_s + number / 2, number, score, last.level))
        if number in (60, 150):
            station.raise_event(last)
        if number == 200:
            station.raise_event(last, level="warn", phase="end", duration_s=0.5)
    station.journal.add_scores(rows)


def main() -> None:
    """Serve on the given port until interrupted, with two frames a second."""
    with (
        tempfile.TemporaryDirectory() as folder,
        page_station(Path(folder), port=int(sys.argv[1])) as station,
    ):
        random = np.random.default_rng(2)
        while True:
            last = station.inspect(float(random.gamma(9, 0.45)))
            if station.number % 40 == 0:
                station.raise_event(station.inspect(13.7))
            del last
            time.sleep(0.5)


if __name__ == "__main__":
    main()
