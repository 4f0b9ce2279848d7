"""Worker threads, each with a set of a bundle's graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

from semedge.core.closing import Closing
from semedge.inference.bundle import Bundle
from semedge.inference.interpreter import Graph, worker_count

WAIT_FOR_GRAPHS_S = 60

Graphs = Mapping[str, Graph]
Argument = TypeVar("Argument")
Result = TypeVar("Result")


class Workers(Closing):
    """A pool of threads, each with a set of graphs.

    Parameters
    ----------
    bundle
        The bundle of the graphs.
    names
        Names of the graphs to load.
    count
        Number of threads; the usable cores where None.
    """

    def __init__(self, bundle: Bundle, names: Iterable[str], count: int | None = None) -> None:
        threads = worker_count(count)
        self._sets: SimpleQueue[Graphs] = SimpleQueue()
        wanted = sorted(set(names))
        for _ in range(threads):
            graphs = {name: Graph(bundle.graph(name), name) for name in wanted}
            self._sets.put(graphs)
        self._batches = {name: graph.batch for name, graph in graphs.items()}
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="score")

    def batch(self, name: str) -> int:
        """Batch of a graph."""
        return self._batches[name]

    def map(
        self, job: Callable[[Graphs, Argument], Result], arguments: Iterable[Argument]
    ) -> Iterator[Result]:
        """Results of the job for every argument, in order; all are started at once."""
        return self._pool.map(lambda argument: self._run(job, argument), arguments)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, job: Callable[[Graphs, Argument], Result], argument: Argument) -> Result:
        graphs = self._sets.get(timeout=WAIT_FOR_GRAPHS_S)
        try:
            return job(graphs, argument)
        finally:
            self._sets.put(graphs)
