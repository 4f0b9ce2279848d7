"""The speed of a detector on this machine, by the number of its workers.

Each number of workers is measured in a separate process, so that its memory is too; the processes
take turns, so that noise on the machine, and a processor that throttles, affect them all.
"""

from __future__ import annotations

import multiprocessing
import re
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame
from semedge.inference.detector import Detector
from semedge.inference.interpreter import worker_count

TURN_S = 0.5
"""Longest time that a process scores before the next one takes its turn."""
PATIENCE_S = 600.0
"""Longest wait for a process, enough for a detector that needs minutes for a frame."""
STOP_S = 5.0
MOST_CORES_TRIED_ONE_BY_ONE = 4
WORTH_A_WORKER = 1.03
"""Least gain of more workers: they take cores from the rest of the station."""

PREPARE = ("cut", "scale")
SCORE = "score"

StageTimes = Mapping[str, float]


@dataclass(frozen=True)
class Workload:
    """The frames to score, and the detector that scores them.

    Attributes
    ----------
    detector
        The bundle; the demo detector where None.
    stride_px
        Distance between patches; the bundle's own where None.
    frames
        Frames of one size, which are scored repeatedly.
    """

    detector: Path | None
    stride_px: int | None
    frames: tuple[Frame, ...]


@dataclass(frozen=True)
class Percentiles:
    """Percentiles of a duration, in milliseconds."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class Pace:
    """The speed with one number of workers.

    Attributes
    ----------
    workers
        Number of threads that score.
    frames
        Number of frames that were scored.
    frames_per_s
        Frames scored a second.
    memory_mb
        Peak resident memory of a process that only scores, in 10^6 bytes.
    stages_ms
        `prepare`, `network`, `score` and `stitch`; the first three summed over the workers that
        score patches side by side. `whole` is the time from the frame to the score of every pixel.
    """

    workers: int
    frames: int
    frames_per_s: float
    memory_mb: float
    stages_ms: Mapping[str, Percentiles]


@dataclass(frozen=True)
class _Turn:
    """The result of one turn of a process: the stages of each frame, and its peak memory."""

    frames: list[StageTimes]
    memory_mb: float


def workers_to_try(cores: int) -> list[int]:
    """Every number of workers up to 4 cores; on more, powers of two and all cores.

    Examples
    --------
    >>> workers_to_try(4), workers_to_try(12)
    ([1, 2, 3, 4], [1, 2, 4, 8, 12])
    """
    if cores <= MOST_CORES_TRIED_ONE_BY_ONE:
        return list(range(1, cores + 1))
    return sorted({2**power for power in range(cores.bit_length())} | {cores})


def measure(load: Workload, duration_s: float, workers: Sequence[int] | None = None) -> list[Pace]:
    """The pace of each number of workers; where None, of those that suit the usable cores.

    Raises `SemedgeError` where the detector or the size of the frames does not fit, or where a
    process is killed or does not answer.
    """
    tried = workers_to_try(worker_count(None)) if workers is None else workers
    turn_s = min(TURN_S, duration_s / len(tried))
    rounds = round(duration_s / (turn_s * len(tried)))
    turns: dict[int, list[_Turn]] = {count: [] for count in tried}
    with ExitStack() as stack:
        processes = {count: stack.enter_context(_Scoring(load, count)) for count in tried}
        for _ in range(rounds):
            for count, process in processes.items():
                turns[count].append(process.score_for(turn_s))
    return [_pace(count, each) for count, each in turns.items()]


def choose(paces: Sequence[Pace]) -> Pace:
    """The pace of the fewest workers whose median is nearly as fast as the fastest."""
    fastest_ms = min(pace.stages_ms["whole"].p50 for pace in paces)
    near = (p for p in paces if p.stages_ms["whole"].p50 <= fastest_ms * WORTH_A_WORKER)
    return min(near, key=lambda pace: pace.workers)


def counted(workers: int) -> str:
    """A number of workers as text."""
    return f"{workers} worker{'' if workers == 1 else 's'}"


def _pace(workers: int, turns: Sequence[_Turn]) -> Pace:
    frames = [frame for turn in turns for frame in turn.frames]
    times_ms = {stage: [frame[stage] for frame in frames] for stage in frames[0]}
    return Pace(
        workers,
        len(frames),
        len(frames) / sum(times_ms["whole"]) * 1e3,
        max(turn.memory_mb for turn in turns),
        {
            stage: Percentiles(*np.percentile(each, (50, 95, 99)).tolist())
            for stage, each in times_ms.items()
        },
    )


class _Scoring:
    """A process that scores frames on request."""

    def __init__(self, load: Workload, workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, load, workers), daemon=True)
        self._workers = workers
        self._process.start()
        theirs.close()

    def __enter__(self) -> _Scoring:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()
        self._process.join(0 if error else STOP_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(STOP_S)

    def score_for(self, duration_s: float) -> _Turn:
        """Score at least one frame, and continue for `duration_s`."""
        answer: Any = None
        try:
            self._connection.send(duration_s)
            if self._connection.poll(PATIENCE_S):
                answer = self._connection.recv()
        except (EOFError, OSError) as error:
            self._process.join(STOP_S)
            raise SemedgeError(
                f"The process with {counted(self._workers)} ended (exit status "
                f"{self._process.exitcode}); it may have run out of memory: try a smaller --size."
            ) from error
        if answer is None:
            raise SemedgeError(
                f"Nothing was scored with {counted(self._workers)} within {PATIENCE_S:g} s; try a "
                "smaller --size."
            )
        if isinstance(answer, SemedgeError):
            raise answer
        assert isinstance(answer, _Turn)
        return answer


def _serve(connection: Connection, load: Workload, workers: int) -> None:
    """Answer each requested duration with a turn, until the connection closes."""
    # The parent process is interrupted too, and ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        frames = load.frames
        with Detector.load(load.detector, stride_px=load.stride_px, workers=workers) as detector:
            for frame in frames:
                _score(detector, frame)
            for duration_s in _requests(connection):
                connection.send(_turn(detector, frames, duration_s))
    except SemedgeError as error:
        connection.send(error)


def _requests(connection: Connection) -> Iterator[float]:
    while True:
        try:
            yield connection.recv()
        except EOFError:
            return


def _turn(detector: Detector, frames: Sequence[Frame], duration_s: float) -> _Turn:
    scored: list[StageTimes] = []
    until_s = time.monotonic() + duration_s
    while not scored or time.monotonic() < until_s:
        scored.append(_score(detector, frames[len(scored) % len(frames)]))
    return _Turn(scored, _peak_memory_mb())


def _score(detector: Detector, frame: Frame) -> StageTimes:
    """Milliseconds of each stage of one frame."""
    started_s = time.perf_counter()
    score_map = detector.score(frame)
    scored_s = time.perf_counter()
    score_map.to_pixels()
    ended_s = time.perf_counter()
    stage_ms = dict(score_map.stage_ms)
    prepare_ms = sum(stage_ms.pop(name, 0.0) for name in PREPARE)
    score_ms = stage_ms.pop(SCORE)
    return {
        "prepare": prepare_ms,
        "network": sum(stage_ms.values()),
        "score": score_ms,
        "stitch": (ended_s - scored_s) * 1e3,
        "whole": (ended_s - started_s) * 1e3,
    }


def _peak_memory_mb() -> float:
    """Peak memory from /proc: `ru_maxrss` would start at that of the parent process."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    (peak_kib,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return int(peak_kib) * 1024 / 1e6
