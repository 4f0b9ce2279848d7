"""The thread in which a lesson is collected or learned."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from semedge.core.errors import RefusedError, SemedgeError
from semedge.core.parts import reason_of

logger = logging.getLogger(__name__)

STOP_TIMEOUT_S = 5.0


class LessonWorker:
    """Does one thing at a time in a thread, and remembers in a sentence what ended it.

    Attributes
    ----------
    over
        Set when what goes on shall end.
    activity
        What goes on, such as `collecting`; empty where nothing does.
    progress
        The newest message of what goes on.
    problem
        What ended the last activity; empty where it ended well.
    was_refused
        Whether that was a refusal, because the frames prove too little.
    """

    def __init__(self) -> None:
        self.over = threading.Event()
        self.activity = self.progress = self.problem = ""
        self.was_refused = False
        self._began_s = 0.0
        self._thread: threading.Thread | None = None

    @property
    def busy_s(self) -> float | None:
        """Time since the activity began; None where there is none."""
        return round(time.monotonic() - self._began_s, 1) if self.activity else None

    def start(self, activity: str, run: Callable[[], None]) -> None:
        """Start an activity, while there is none."""
        self.over.clear()
        self.forget()
        self.activity, self._began_s = activity, time.monotonic()
        self._thread = threading.Thread(
            target=self._run, args=(run,), name=f"teaching-{activity}", daemon=True
        )
        self._thread.start()

    def show(self, text: str) -> None:
        """Show how far it is."""
        self.progress = text

    def forget(self) -> None:
        """Forget what ended the last activity."""
        self.progress = self.problem = ""
        self.was_refused = False

    def close(self) -> None:
        """End what goes on."""
        self.over.set()
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT_S)

    def _run(self, run: Callable[[], None]) -> None:
        problem, was_refused = "", False
        try:
            run()
        except Exception as error:
            problem = str(error) if isinstance(error, SemedgeError) else reason_of(error)
            was_refused = isinstance(error, RefusedError)
            logger.warning(f"Teaching stopped: {problem}", extra={"event": "teaching-stopped"})
        self.problem, self.was_refused = problem, was_refused
        self.activity = self.progress = ""
