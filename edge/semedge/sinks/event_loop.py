"""An event loop in a thread, for servers that need one."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

logger = logging.getLogger(__name__)

MOST_LOGGED = 100
"""Different faults of one loop that are logged."""
GRACE_S = 0.5
"""Time that a blocked loop is waited for beyond the limit of a coroutine."""

T = TypeVar("T")

ExceptionHandler = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]


def _log_once() -> ExceptionHandler:
    """A handler of what nobody awaits, such as a failing `accept`, which repeats each second."""
    logged: set[str] = set()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        reason = f"{context['message']}: {error}" if error else str(context["message"])
        if reason not in logged and len(logged) < MOST_LOGGED:
            logged.add(reason)
            logger.error(f"A server has a fault ({reason}).", extra={"event": "server-fault"})

    return handle


class LoopThread:
    """Runs coroutines for other threads.

    Parameters
    ----------
    name
        Name of the thread.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_log_once())
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T], timeout_s: float) -> T:
        """The coroutine's result; raises what it raises, or `TimeoutError` after `timeout_s`."""

        async def limited() -> T:
            return await asyncio.wait_for(coroutine, timeout_s)

        try:
            return asyncio.run_coroutine_threadsafe(limited(), self._loop).result(
                timeout_s + GRACE_S
            )
        except (asyncio.TimeoutError, concurrent.futures.TimeoutError):
            raise TimeoutError(f"it took longer than {timeout_s:g} s") from None

    def close(self, timeout_s: float) -> None:
        """Cancel what still runs, and end the thread."""
        try:
            asyncio.run_coroutine_threadsafe(self._end_tasks(), self._loop).result(timeout_s)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout_s)

    async def _end_tasks(self) -> None:
        tasks = [each for each in asyncio.all_tasks() if each is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
