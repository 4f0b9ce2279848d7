"""Servers in processes of their own, for tests."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    """Until `condition` holds; fails after `timeout_s`."""
    ends_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < ends_s, "it did not happen in time"
        time.sleep(0.01)


def answers(port: int) -> bool:
    """Whether somebody listens on the port of this machine."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def process(
    argv: Sequence[str],
    log: Path,
    port: int,
    *,
    environment: Mapping[str, str] | None = None,
    within_s: float = 10.0,
) -> Iterator[subprocess.Popen[bytes]]:
    """A server of its own process, ready when it listens on `port`; killed at the end."""
    with log.open("ab") as output:
        running = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        )
    try:
        wait_for(lambda: running.poll() is not None or answers(port), within_s)
        assert running.poll() is None, log.read_text()
        yield running
    finally:
        running.kill()
        running.wait(10)


def python(script: str, *arguments: object) -> list[str]:
    """The command that runs a script of this folder."""
    return [sys.executable, str(Path(__file__).with_name(script)), *map(str, arguments)]
