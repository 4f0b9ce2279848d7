"""Events and servers for the tests of the sinks."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import events

from semedge.event import Event

EVENT = replace(
    events.EVENT, event_id="0123456789abcdef" * 2, number=7, station="line 1", camera="top"
)


def numbered(count: int, first: int = 1) -> list[Event]:
    """Events of `count` happenings, in order."""
    return [
        replace(EVENT, event_id=f"{number:032x}", number=number)
        for number in range(first, first + count)
    ]


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
def process(argv: Sequence[str], log: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server of its own process, ready when it listens on `port`; killed at the end."""
    with log.open("ab") as output:
        running = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_for(lambda: running.poll() is not None or answers(port))
        assert running.poll() is None, log.read_text()
        yield running
    finally:
        running.kill()
        running.wait(10)


def certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Files of a certificate authority, and of a key and certificate of 127.0.0.1 by it."""
    authority, key, certificate = (folder / name for name in ("ca.pem", "key.pem", "cert.pem"))
    for arguments in (
        f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-ca -keyout {folder}/ca.key"
        f" -out {authority}",
        f"req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout {key} -out {folder}/request.pem",
    ):
        _openssl(arguments.split())
    extensions = folder / "extensions"
    extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    _openssl(
        f"x509 -req -days 2 -in {folder}/request.pem -CA {authority} -CAkey {folder}/ca.key"
        f" -CAcreateserial -out {certificate} -extfile {extensions}".split()
    )
    return authority, key, certificate


def server_context(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """What a server of 127.0.0.1 encrypts with, and the file that a client trusts."""
    authority, key, certificate = certificates(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, authority


@contextlib.contextmanager
def in_thread(run: Callable[[], None], stop: Callable[[], None]) -> Iterator[None]:
    """`run` in a thread of its own, ended by `stop`."""
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop()
        thread.join(10)


def python(script: str, *arguments: object) -> list[str]:
    """The command that runs a script of this folder."""
    return [sys.executable, str(Path(__file__).with_name(script)), *map(str, arguments)]


def _openssl(arguments: Sequence[str]) -> None:
    subprocess.run(
        ["openssl", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=True,
    )
