"""A part that fails is tried again and seen, and so is one that hangs or ends."""

from __future__ import annotations

import threading
import time

import pytest
from scripted import wait_until

from semedge.core.parts import Parts


def start(parts: Parts, step: object, **options: float) -> threading.Event:
    closing = threading.Event()
    thread = threading.Thread(
        target=parts.repeat, args=("pump", step, closing), kwargs=options, daemon=True
    )
    thread.start()
    return closing


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyError("x"), MemoryError()])
def test_a_step_that_raises_is_seen_and_repeated(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    works = threading.Event()

    def step() -> None:
        time.sleep(0.01)
        if not works.is_set():
            raise error

    parts = Parts()
    closing = start(parts, step)
    wait_until(lambda: "pump" in parts.faults())
    assert (str(error) or type(error).__name__) in parts.faults()["pump"]
    works.set()
    wait_until(lambda: not parts.faults())
    closing.set()


def test_a_step_that_hangs_is_seen_until_it_returns() -> None:
    returns = threading.Event()
    parts = Parts()
    closing = start(parts, returns.wait, hang_after_s=0.05)
    wait_until(lambda: "hung" in parts.faults().get("pump", ""))
    closing.set()
    returns.set()
    wait_until(lambda: not parts.faults())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_ends_is_seen(capsys: pytest.CaptureFixture[str]) -> None:
    def step() -> None:
        raise SystemExit

    parts = Parts()
    start(parts, step)
    wait_until(lambda: "ended" in parts.faults().get("pump", ""))
