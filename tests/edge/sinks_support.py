"""Events and servers for the tests of the sinks."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import events

from semedge.core.event import Event

EVENT = replace(
    events.EVENT, event_id="0123456789abcdef" * 2, number=7, station="line 1", camera="top"
)


def numbered(count: int, first: int = 1) -> list[Event]:
    """Events of `count` happenings, in order."""
    return [
        replace(EVENT, event_id=f"{number:032x}", number=number)
        for number in range(first, first + count)
    ]


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


def _openssl(arguments: Sequence[str]) -> None:
    subprocess.run(
        ["openssl", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=True,
    )
