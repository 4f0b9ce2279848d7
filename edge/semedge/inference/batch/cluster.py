"""Files scored on the machines of a Ray cluster, through Ray Data (extra: cluster).

Each machine needs this version of semedge with the same runtime, and sees the files under the same
paths; the detector is sent with the work. A worker that is lost is restarted.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from queue import Empty, Queue
from typing import Any

from semedge.core.errors import SemedgeError
from semedge.core.optional import import_extra
from semedge.core.ray_cluster import joined_cluster
from semedge.core.view import FrameView
from semedge.inference.batch.score_file import (
    FileResult,
    FileScorer,
    ScoredFile,
    ScoreSettings,
    SkippedFile,
)
from semedge.inference.bundle import Bundle, parse_bundle

FILES_A_BATCH = 8
ROWS_IN_MEMORY = 1024
LONGEST_WAIT_S = 900.0
"""Longest wait for a result, while the workers of the cluster start or score a batch."""

NUMBERS = ("frame_score", "peak_x_px", "peak_y_px", "size_bytes", "changed_ns")
"""Numbers of a `ScoredFile`, in its order."""

Rows = dict[str, list[Any]]


class FileBatches:
    """The work of one worker of the cluster: batches of paths to batches of results.

    Parameters
    ----------
    content, name
        The detector's bundle as bytes, and its name in messages.
    settings
        Settings that the other machine must match.
    """

    def __init__(self, content: bytes, name: str, settings: ScoreSettings) -> None:
        self._scorer = FileScorer(
            parse_bundle(content, name), settings.stride_px, FrameView(settings.view)
        )
        here = ScoreSettings.of(self._scorer.detector, settings.view)
        if here != settings:
            raise SemedgeError(
                f"a machine of the cluster has semedge {here.semedge} with {here.runtime}, and "
                f"this one {settings.semedge} with {settings.runtime}"
            )

    def __call__(self, batch: Mapping[str, Any]) -> Rows:
        """One row for each path; its numbers are 0 where the file was skipped."""
        results = [self._scorer.score(os.fsdecode(path)) for path in batch["path"]]
        return {
            "path": [os.fsencode(result.path) for result in results],
            "reason": [getattr(result, "reason", "") for result in results],
            **{name: [getattr(result, name, 0) for result in results] for name in NUMBERS},
        }


def score_on_cluster(
    files: Sequence[str], bundle: Bundle, content: bytes, settings: ScoreSettings, address: str
) -> Iterator[FileResult]:
    """Results of the files, in the order in which the cluster at `address` returns them.

    Parameters
    ----------
    files
        Absolute paths.
    bundle, content
        The detector, and its bytes.
    settings
        Settings that the scores depend on.
    address
        Address of the cluster, such as `auto` or `10.0.0.1:6379`.
    """
    with joined_cluster(address) as ray:
        data = import_extra("ray.data", "cluster", "--ray")
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context = data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        cores = int(ray.cluster_resources().get("CPU", 1))
        rows = (
            data.from_items([{"path": os.fsencode(path)} for path in files])
            .map_batches(
                FileBatches,
                fn_constructor_args=(content, bundle.name, settings),
                batch_size=FILES_A_BATCH,
                num_cpus=1,
                concurrency=(1, cores),
            )
            .iter_rows()
        )
        for row in _timed(rows, LONGEST_WAIT_S):
            path = os.fsdecode(row["path"])
            if row["reason"]:
                yield SkippedFile(path, row["reason"])
            else:
                score, *others = (row[name] for name in NUMBERS)
                yield ScoredFile(path, float(score), *map(int, others))


def _timed(rows: Iterator[dict[str, Any]], longest_s: float) -> Iterator[dict[str, Any]]:
    """The rows; `SemedgeError` where the next one is late or the cluster fails."""
    queue: Queue[dict[str, Any] | Exception | None] = Queue(ROWS_IN_MEMORY)

    def read() -> None:
        try:
            for row in rows:
                queue.put(row, timeout=longest_s)
            queue.put(None, timeout=longest_s)
        except Exception as error:  # Ray raises any exception for a fault on another machine
            queue.put(error, timeout=longest_s)

    threading.Thread(target=read, name="cluster", daemon=True).start()
    while True:
        try:
            row = queue.get(timeout=longest_s)
        except Empty:
            raise SemedgeError(
                f"The cluster returned no score for {longest_s:.0f} s; check it with `ray status`."
            ) from None
        if row is None:
            return
        if isinstance(row, Exception):
            raise SemedgeError(f"The cluster could not score ({_cause(row)}).") from row
        yield row


def _cause(error: BaseException) -> str:
    """The last line of the innermost cause, without Ray's wrapping and remote traceback."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip().removesuffix(".") if lines else type(error).__name__
