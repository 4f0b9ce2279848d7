"""A lesson at a running station: its steps, and everything that can go wrong in them."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recipes import make_recipe
from teaching_support import ANN, BOB, Classroom, classroom, teaching_of

from semedge.core.errors import SemedgeError
from semedge.journal.query import Query
from semedge.journal.reader import JournalReader
from semedge.learning.frame_store import FrameStore
from semedge.station.camera_setup import RecipeIdentity
from semedge.station.learning_process import ChildResult
from semedge.station.recipe import read_recipe

LEARNED = {
    "path": "learned.recipe",
    "threshold": 9.0,
    "guarantee": "At most 1 % of normal frames alarm.",
    "proved_rate": 0.01,
    "fit_frames": 2,
    "calibration_frames": 3,
    "left_out": [],
    "normal_scores": [1.0, 2.0, 9.0],
    "choice": None,
}


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Classroom]:
    with classroom(tmp_path) as opened:
        yield opened


Child = Callable[[Sequence[str], Any], ChildResult]


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Callable[[Child], list[list[str]]]:
    """Sets what the child process does; gives the arguments of each."""
    called: list[list[str]] = []

    def set_child(run: Child) -> list[list[str]]:
        def run_semedge(arguments: Sequence[str], over: Any, *_: Any) -> ChildResult:
            called.append(list(arguments))
            return run(arguments, over)

        monkeypatch.setattr("semedge.station.lesson_learning.run_semedge", run_semedge)
        return called

    return set_child


def learns(arguments: Sequence[str], over: Any) -> ChildResult:
    out = Path(arguments[arguments.index("--out") + 1])
    make_recipe(out, name="film")
    return ChildResult(0, dict(LEARNED), "Wrote it.")


def audit(room: Classroom) -> list[tuple[str, str]]:
    with JournalReader(room.folder / "journal.sqlite") as reader:
        return [(row["who"], row["action"]) for row in reader.rows(Query("audit"))]


def test_a_lesson(room: Classroom, child: Callable[[Child], list[list[str]]]) -> None:
    called = child(learns)
    assert room.phase == "idle"
    document = room.collect(6)
    assert document["frames"] == list(range(6))
    assert document["lesson"]["who"] == ANN
    image = room.teaching.image(3)
    assert image is not None
    assert image.shape == (96, 128)
    assert room.teaching.image(99) is None
    assert room.ask("throw-out", frames=[1, 2]) == "2 of 6 frames are thrown out."
    assert room.ask("throw-out", frames=[2], back=True) == "1 of 6 frames are thrown out."
    room.ask("learn", false_alarm_rate=0.02, accept_weaker=True)
    result = room.wait("learned")["result"]
    assert result["guarantee"] == LEARNED["guarantee"]
    assert "path" not in result
    arguments = called[0]
    selected = Path(arguments[arguments.index("--images") + 1])
    assert sorted(path.name for path in selected.iterdir()) == [
        f"{number:06d}.png" for number in (0, 2, 3, 4, 5)
    ]
    assert arguments[arguments.index("--false-alarm-rate") + 1] == "0.02"
    assert "--accept-weaker" in arguments
    assert arguments[arguments.index("--workers") + 1] == "1"
    assert not list((room.folder / "recipes").iterdir()), "nothing is saved yet"
    room.ask("save")
    manifest = read_recipe(room.folder / "recipes" / "film.recipe").manifest
    assert manifest.name == "film"
    assert manifest.decision.frames_above == 2, "the decision of the active setup goes on"
    assert "Ann" in manifest.note
    room.ask("discard")
    assert room.phase == "idle"
    assert not (room.folder / "teaching").exists()
    assert (room.folder / "recipes" / "film.recipe").exists()
    steps = ["teach-collect", "teach-learn", "teach-save", "teach-discard"]
    assert audit(room) == [(ANN, step) for step in steps]


def test_the_frames_stay_beside_the_recipe_without_those_thrown_out(
    room: Classroom, child: Any
) -> None:
    child(learns)
    room.collect(4)
    room.ask("throw-out", frames=[1])
    room.ask("learn")
    room.wait("learned")
    room.ask("save")
    room.ask("discard")
    store = FrameStore(room.folder / "recipes" / "film.frames", "sim:7")
    assert [entry.file for entry in store.entries] == [f"{each:06d}.png" for each in (0, 2, 3)]


def test_a_recipe_that_cannot_be_written_leaves_no_frames(
    room: Classroom, child: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise SemedgeError("film.recipe could not be written (No space left on device).")

    child(learns)
    room.collect(3)
    room.ask("learn")
    room.wait("learned")
    monkeypatch.setattr("semedge.station.lesson_recipe.make_recipe", full)
    with pytest.raises(SemedgeError, match="No space left"):
        room.ask("save")
    assert not list((room.folder / "recipes").iterdir())
    assert room.phase == "learned", "it can be saved once there is space"


def test_a_recipe_is_learned_again_from_marks(room: Classroom, child: Any) -> None:
    def learns_again(arguments: Sequence[str], over: Any) -> ChildResult:
        ended = learns(arguments, over)
        out = Path(arguments[arguments.index("--out") + 1])
        (out.with_suffix(".frames")).mkdir()
        (out.with_suffix(".frames") / "frames.jsonl").touch()
        counts = {"real": {"frames": 3, "before": 3, "after": 3}}
        return replace(ended, document={**LEARNED, "marked": {"counts": counts}})

    called = child(learns_again)
    with pytest.raises(SemedgeError, match="start it with --station"):
        room.ask("again")
    room.control.station_file = room.folder / "semedge.toml"
    room.camera.setup.recipe = None
    with pytest.raises(SemedgeError, match="Camera top has no recipe that could be learned again"):
        room.ask("again")
    room.camera.setup.recipe = RecipeIdentity("film-3", 3, "ab" * 32)
    assert "Learning film-4 from what was marked" in room.ask("again")
    assert room.wait("learned")["result"]["marked"]["counts"]["real"]["after"] == 3
    arguments = called[0]
    assert arguments[arguments.index("--from-station") + 1] == str(room.control.station_file)
    assert arguments[arguments.index("--camera") + 1] == "top"
    with pytest.raises(SemedgeError, match="collects no frames"):
        room.ask("continue", frames=10)
    room.ask("save")
    manifest = read_recipe(room.folder / "recipes" / "film-4.recipe").manifest
    assert (manifest.name, manifest.version) == ("film-4", 4)


def test_two_people_cannot_teach_at_once(room: Classroom) -> None:
    room.collect(3)
    for action, more in (
        ("collect", {"name": "other", "frames": 5}),
        ("continue", {"frames": 9}),
        ("throw-out", {"frames": [0]}),
        ("learn", {}),
    ):
        with pytest.raises(SemedgeError, match=r"^Ann teaches film here since .*; ask them, or"):
            room.ask(action, BOB, **more)
    room.ask("discard", BOB)
    assert room.phase == "idle", "a lesson that nobody ends does not stay forever"
    assert audit(room)[-1] == (BOB, "teach-discard")


def test_a_name_that_exists_is_refused(room: Classroom, child: Any) -> None:
    child(learns)
    taken = room.folder / "recipes" / "film.recipe"
    taken.write_bytes(b"somebody's")
    with pytest.raises(SemedgeError, match="There is a recipe film already; choose another name"):
        room.ask("collect", name="film", frames=3)
    assert room.phase == "idle"
    taken.unlink()
    room.collect(3)
    room.ask("learn")
    room.wait("learned")
    taken.write_bytes(b"somebody's")
    with pytest.raises(SemedgeError, match="There is a recipe film already"):
        room.ask("save")
    assert taken.read_bytes() == b"somebody's"


@pytest.mark.parametrize("name", ["", "../film", ".film", "a b", "x" * 61])
def test_a_name_that_no_file_can_have(room: Classroom, name: str) -> None:
    with pytest.raises(SemedgeError):
        room.ask("collect", name=name, frames=3)
    assert room.phase == "idle"


def test_a_camera_that_stops(room: Classroom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semedge.station.frame_tap.NO_FRAME_S", 0.3)
    with room.camera.playing():
        room.ask("collect", name="film", frames=10_00)
        while len(room.teaching.document()["frames"]) < 3:
            pass
    document = room.wait("collected")
    assert "Camera top has given no frame for" in document["problem"]
    assert len(document["frames"]) >= 3
    with room.camera.playing():
        room.ask("continue", frames=len(document["frames"]) + 2)
        assert room.wait("collected")["problem"] == ""


def test_a_size_that_changes(room: Classroom) -> None:
    def image(number: int) -> np.ndarray:
        shape = (96, 128) if number < 40 else (64, 80)
        return np.random.default_rng(number).integers(0, 255, shape, np.uint8)

    with room.camera.playing(0.02, image):
        room.ask("collect", name="film", frames=500)
        problem = room.wait("collected")["problem"]
    assert "The frames have 80x64 px now, and those collected 128x96 px" in problem


def test_frames_that_cannot_be_used_are_counted(room: Classroom) -> None:
    def image(number: int) -> np.ndarray:
        if number % 3 == 0:
            return np.zeros((96, 128), np.uint8)
        return np.random.default_rng(number).integers(0, 255, (96, 128), np.uint8)

    with room.camera.playing(0.01, image):
        room.ask("collect", name="film", frames=8)
        left_out = room.wait("collected")["lesson"]["left_out"]
    assert set(left_out) <= {"is dark", "repeats the frame before it"}
    assert left_out["is dark"] >= 1


def test_a_full_disk(room: Classroom, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 10**6))
    with room.camera.playing():
        room.ask("collect", name="film", frames=5)
        problem = room.wait("collected")["problem"]
    assert "MiB free" in problem
    assert room.teaching.document()["frames"] == []


@pytest.mark.parametrize(
    ("ended", "sentence", "weaker"),
    [
        (
            ChildResult(3, None, "They prove 7 %, or accept the higher rate with --accept-weaker."),
            "They prove 7 %, or accept the higher rate.",
            True,
        ),
        (ChildResult(1, None, "All frames are the same."), "All frames are the same.", False),
        (ChildResult(-9, None, ""), "Learning was ended by signal 9; free some memory", False),
        (ChildResult(0, None, ""), "Learning ended with status 0", False),
    ],
)
def test_learning_that_fails(
    room: Classroom, child: Any, ended: ChildResult, sentence: str, weaker: bool
) -> None:
    def fails(arguments: Sequence[str], over: Any) -> ChildResult:
        Path(arguments[arguments.index("--out") + 1]).write_bytes(b"half")
        return ended

    child(fails)
    room.collect(3)
    room.ask("learn")
    document = room.wait("collected")
    assert document["problem"].startswith(sentence)
    assert document["weaker_offered"] is weaker
    left = {path.name for path in (room.folder / "teaching").iterdir()}
    assert left == {"frames", "lesson.json"}, "nothing half-written is left"
    with pytest.raises(SemedgeError, match="Nothing was learned yet"):
        room.ask("save")


def test_learning_is_stopped(room: Classroom, child: Any) -> None:
    def waits(arguments: Sequence[str], over: Any) -> ChildResult:
        assert over.wait(10)
        raise SemedgeError("Learning was stopped; the frames are kept.")

    child(waits)
    room.collect(3)
    room.ask("learn")
    with pytest.raises(SemedgeError, match="still learning; stop it first"):
        room.ask("learn")
    with pytest.raises(SemedgeError, match="stop it first"):
        room.ask("throw-out", frames=[0])
    room.ask("stop")
    assert "the frames are kept" in room.wait("collected")["problem"]
    assert len(room.teaching.document()["frames"]) == 3


def test_it_goes_on_after_a_restart(room: Classroom, child: Any) -> None:
    child(learns)
    room.collect(4)
    room.ask("throw-out", frames=[2])
    restarted = teaching_of(room.camera, room.control, room.journal, room.folder / "teaching")
    document = restarted.document()
    assert document["phase"] == "collected"
    assert document["frames"] == [0, 1, 2, 3]
    assert document["lesson"]["thrown_out"] == (2,)
    room.ask("learn")
    room.wait("learned")
    again = teaching_of(room.camera, room.control, room.journal, room.folder / "teaching")
    assert again.document()["result"]["threshold"] == 9.0


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"name": "film"}'])
def test_a_lesson_whose_file_is_damaged_is_none(room: Classroom, content: str) -> None:
    room.collect(3)
    (room.folder / "teaching" / "lesson.json").write_text(content)
    restarted = teaching_of(room.camera, room.control, room.journal, room.folder / "teaching")
    assert restarted.document()["phase"] == "idle"


def test_without_a_folder_of_recipes_nothing_is_taught(room: Classroom) -> None:
    room.control.recipes_folder = None
    document = room.teaching.document()
    assert not document["available"]
    assert "set station.recipes" in document["reason"]
    with pytest.raises(SemedgeError, match=r"station\.recipes"):
        room.ask("collect", name="film", frames=3)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"action": "erase"},
        {"action": "collect", "name": "film"},
        {"action": "collect", "name": "film", "frames": 1},
        {"action": "collect", "name": "film", "frames": 10**9},
        {"action": "collect", "name": "film", "frames": 5, "every_s": -1},
        {"action": "collect", "name": "film", "frames": 5, "camera": "side"},
        {"action": "learn", "false_alarm_rate": 2},
        {"action": "stop"},
        {"action": "save", "more": 1},
    ],
)
def test_a_request_that_is_refused_changes_nothing(
    room: Classroom, document: dict[str, Any]
) -> None:
    before = json.dumps(room.teaching.document())
    with pytest.raises(SemedgeError):
        room.teaching.handle(document, ANN)
    assert json.dumps(room.teaching.document()) == before


def test_a_sample_is_scored_by_what_was_learned(room: Classroom, child: Any) -> None:
    def run(arguments: Sequence[str], over: Any) -> ChildResult:
        if arguments[0] == "learn":
            return learns(arguments, over)
        if not Path(arguments[1]).read_bytes().startswith(b"\x89PNG"):
            return ChildResult(1, None, f"None of the 1 files could be scored: {arguments[1]}.")
        row = {"frame_score": 12.5, "above_threshold": True, "peak_x_px": 4, "peak_y_px": 5}
        return ChildResult(0, {"threshold": 9.0, "files": [row]}, "1 scored.")

    child(run)
    with pytest.raises(SemedgeError, match="Nothing was learned yet"):
        room.teaching.try_sample(b"\x89PNG", "crack.png")
    room.collect(3)
    room.ask("learn")
    room.wait("learned")
    found = room.teaching.try_sample(b"\x89PNG", "crack.png")
    assert found == {
        "name": "crack.png",
        "score": 12.5,
        "alarm": True,
        "threshold": 9.0,
        "peak_px": [4, 5],
    }
    with pytest.raises(SemedgeError, match=r"^crack\.png cannot be scored: .* crack\.png\.$"):
        room.teaching.try_sample(b"text", "crack.png")
    with pytest.raises(SemedgeError, match="at most 33,554,432"):
        room.teaching.try_sample(b"\x89PNG" * 2**24, "crack.png")
    assert not list((room.folder / "teaching").glob("sample*"))
