"""Files scored on this machine's cores.

Threads, not processes, because the runtime and OpenCV release Python's lock while they compute, and
threads end with the process, however it ends. Each thread scores one file at a time, so that
reading, scaling and scoring of different files overlap.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from queue import SimpleQueue

from semedge.core.view import FrameView
from semedge.inference.batch.score_file import FileResult, FileScorer
from semedge.inference.bundle import Bundle
from semedge.inference.interpreter import worker_count

AHEAD = 4
"""Files per thread that are queued, or wait for the result of an earlier file."""
WAIT_FOR_SCORER_S = 60
LONGEST_FILE_S = 600


def score_locally(
    files: Sequence[str],
    bundle: Bundle,
    stride_px: int,
    view: FrameView,
    workers: int | None = None,
) -> Iterator[FileResult]:
    """Each file's result, in the files' order.

    Parameters
    ----------
    files
        Paths.
    bundle, stride_px, view
        As for `FileScorer`.
    workers
        Threads; the usable cores where None. With fewer files than threads, several score one.
    """
    cores = worker_count(workers)
    threads = max(1, min(cores, len(files)))
    scorers: SimpleQueue[FileScorer] = SimpleQueue()

    def score(path: str) -> FileResult:
        scorer = scorers.get(timeout=WAIT_FOR_SCORER_S)
        try:
            return scorer.score(path)
        finally:
            scorers.put(scorer)

    with ExitStack() as stack:
        for _ in range(threads):
            scorer = FileScorer(bundle, stride_px, view, cores // threads)
            scorers.put(stack.enter_context(scorer))
        pool = stack.enter_context(ThreadPoolExecutor(threads, thread_name_prefix="files"))
        yield from _in_order(pool, score, files, threads * AHEAD)


def _in_order(
    pool: ThreadPoolExecutor,
    score: Callable[[str], FileResult],
    files: Sequence[str],
    ahead: int,
) -> Iterator[FileResult]:
    """Results in the files' order; at most `ahead` of them wait in memory."""
    waiting: deque[Future[FileResult]] = deque()
    try:
        for path in files:
            if len(waiting) == ahead:
                yield waiting.popleft().result(LONGEST_FILE_S)
            waiting.append(pool.submit(score, path))
        while waiting:
            yield waiting.popleft().result(LONGEST_FILE_S)
    finally:
        for future in waiting:
            future.cancel()
