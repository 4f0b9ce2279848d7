"""From the frames of a lesson to what was learned, and samples that try it."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from semedge.core.errors import RefusedError, SemedgeError
from semedge.core.files import write_atomically
from semedge.learning.frame_store import LEFT_OUT
from semedge.state.snapshot import ONLY_CAMERA
from semedge.station.learning_process import ChildResult, run_semedge
from semedge.station.lesson_files import LessonFacts, LessonFiles
from semedge.station.recipe import CALIBRATION, DETECTOR
from semedge.station.teaching_requests import LearnRequest

LEARN_TIMEOUT_S = 3600.0
TRY_TIMEOUT_S = 120.0
LARGEST_SAMPLE_BYTES = 32 * 2**20
SECONDS_PER_HOUR = 3600
REFUSED = 3
LONGEST_SUFFIX = 6


def learn_lesson_files(
    files: LessonFiles,
    facts: LessonFacts,
    request: LearnRequest,
    over: threading.Event,
    show: Callable[[str], None],
) -> dict[str, Any]:
    """Learn from the selected frames by `semedge learn`; what it learned, as a JSON document.

    Parameters
    ----------
    files
        The lesson's files, with the selected frames; the results are written beside them.
    facts, request
        What the lesson is about, and what it should prove.
    over
        Ends it.
    show
        Called with the newest message.

    Raises
    ------
    RefusedError
        Where the frames prove less than what is requested.
    SemedgeError
        Where nothing was learned; no file of a result is left then.
    """
    arguments = ["learn", "--images", str(files.selected), "--name", facts.name]
    arguments += ["--out", str(files.recipe), "--replace", "--workers", "1", "--json"]
    arguments += ["--false-alarm-rate", repr(request.false_alarm_rate)]
    arguments += ["--frame-rate", repr(max(facts.pace_hz, 1e-3))]
    if request.accept_weaker:
        arguments.append("--accept-weaker")
    if (mask := files.frames / LEFT_OUT).exists():
        arguments += ["--leave-out-mask", str(mask)]
    return _learned(files, facts, arguments, over, show)


def learn_again_files(
    files: LessonFiles,
    facts: LessonFacts,
    station: Path,
    over: threading.Event,
    show: Callable[[str], None],
) -> dict[str, Any]:
    """Learn the recipe of a camera again from what was marked, by `semedge learn --from-station`.

    `station` is the station file. Raises as `learn_lesson_files` does.
    """
    arguments = ["learn", "--from-station", str(station), "--name", facts.name]
    if facts.camera != ONLY_CAMERA:
        arguments += ["--camera", facts.camera]
    arguments += ["--recipe-version", str(facts.version), "--out", str(files.recipe), "--replace"]
    arguments += ["--workers", "1", "--json", "--accept-weaker"]
    return _learned(files, facts, arguments, over, show)


def _learned(
    files: LessonFiles,
    facts: LessonFacts,
    arguments: list[str],
    over: threading.Event,
    show: Callable[[str], None],
) -> dict[str, Any]:
    try:
        ended = run_semedge(arguments, over, LEARN_TIMEOUT_S, show)
        if ended.status or ended.document is None:
            refused = RefusedError if ended.status == REFUSED else SemedgeError
            raise refused(_why_not(ended))
        with zipfile.ZipFile(files.recipe) as archive:
            write_atomically(files.detector, archive.read(DETECTOR))
            write_atomically(files.calibration, archive.read(CALIBRATION))
        an_hour = ended.document["proved_rate"] * facts.pace_hz * SECONDS_PER_HOUR
        result = ended.document | {"false_alarms_per_hour": an_hour}
        del result["path"]
        files.write_result(result)
    except BaseException:
        files.clear_result()
        raise
    return result


def score_sample(
    files: LessonFiles, content: bytes, name: str, over: threading.Event
) -> dict[str, Any]:
    """The score of an image file by what was learned, and whether it alarms.

    Another process decodes and scores it. `SemedgeError` where it cannot be scored.
    """
    if len(content) > LARGEST_SAMPLE_BYTES:
        raise SemedgeError(
            f"{name} has {len(content):,} bytes; give a picture of at most "
            f"{LARGEST_SAMPLE_BYTES:,}."
        )
    suffix = Path(name).suffix.lower()[:LONGEST_SUFFIX]
    sample = files.folder / f"sample{suffix if suffix[1:].isalnum() else ''}"
    try:
        write_atomically(sample, content, sync=False)
        arguments = ["score", str(sample), "--detector", str(files.detector)]
        arguments += ["--calibration", str(files.calibration), "--workers", "1", "--json"]
        ended = run_semedge(arguments, over, TRY_TIMEOUT_S)
    finally:
        sample.unlink(missing_ok=True)
    document = ended.document or {}
    if ended.status or not document.get("files"):
        raise SemedgeError(f"{name} cannot be scored: {ended.message.replace(str(sample), name)}")
    row = document["files"][0]
    return {
        "name": name,
        "score": row["frame_score"],
        "alarm": row["above_threshold"],
        "threshold": document["threshold"],
        "peak_px": [row["peak_x_px"], row["peak_y_px"]],
    }


def _why_not(ended: ChildResult) -> str:
    if ended.status < 0:
        return (
            f"Learning was ended by signal {-ended.status}; free some memory, or take fewer frames."
        )
    # The page offers what the command has an option for.
    message = ended.message.replace(" with --accept-weaker", "")
    return message or f"Learning ended with status {ended.status}; try again."
