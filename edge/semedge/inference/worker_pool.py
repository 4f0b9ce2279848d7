"""Worker threads that each have a set of a bundle's graphs to themselves."""

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
Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers(Closing):
    """Threads with graphs.

    Parameters
    ----------
    bundle
        Where the graphs are.
    names
        Which of them are wanted.
    count
        Threads; the usable cores where None.
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
        """Items that a graph takes at once."""
        return self._batches[name]

    def map(self, job: Callable[[Graphs, Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """What the job makes of every item, in order; all are begun at once."""
        return self._pool.map(lambda item: self._run(job, item), items)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, job: Callable[[Graphs, Item], Result], item: Item) -> Result:
        graphs = self._sets.get(timeout=WAIT_FOR_GRAPHS_S)
        try:
            return job(graphs, item)
        finally:
            self._sets.put(graphs)
