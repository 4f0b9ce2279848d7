"""Which graphs passed the check in a child process, in memory and in a file for the next start.

The file spares a restarted station the check's time. It has nothing but digests, each of a bundle
and of everything else that the check depends on; where it is missing, damaged or written by someone
else, the graphs are checked again.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import platform
import re
import stat
import threading
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from semedge.core.errors import SemedgeError
from semedge.core.files import write_atomically
from semedge.core.version import __version__
from semedge.inference.interpreter import find_runtime

CHECK_VERSION = 1
"""Rises where the check finds more than it did, so that graphs which passed are checked again."""

DIGEST = re.compile(r"[0-9a-f]{64}")
MOST_DIGESTS = 100
MOST_BYTES = MOST_DIGESTS * 65
MODE = 0o600

logger = logging.getLogger(__name__)


class PassedGraphs:
    """The checks that were passed; of several threads."""

    def __init__(self) -> None:
        self._digests: list[str] = []
        self._file: Path | None = None
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def remembered_in(self, path: Path) -> Iterator[None]:
        """Within the `with`, passed checks of earlier processes count, and new ones are written."""
        with self._lock:
            before = self._file
            self._file = path
            known = set(self._digests)
            self._digests += [each for each in _read(path) if each not in known]
        try:
            yield
        finally:
            with self._lock:
                self._file = before

    def __contains__(self, digest: str) -> bool:
        with self._lock:
            return digest in self._digests

    def add(self, digest: str) -> None:
        """Remember a passed check; a file that cannot be written costs the next start its time."""
        with self._lock:
            self._digests = [*self._digests, digest][-MOST_DIGESTS:]
            if self._file is None:
                return
            content = "".join(f"{each}\n" for each in self._digests)
            try:
                write_atomically(self._file, content.encode(), mode=MODE, sync=False)
            except SemedgeError as error:
                logger.debug("The passed check of the graphs is forgotten at the end: %s", error)


def check_digest(sha256: str, stride_px: int | None, shape: tuple[int, ...]) -> str:
    """Digest of a check: the bundle, how it was run, and the runtime and machine that ran it."""
    runtime, _ = find_runtime()
    facts = (
        *(CHECK_VERSION, __version__, runtime, _version(runtime), _version("numpy")),
        *(platform.machine(), os.sysconf("SC_PHYS_PAGES"), sha256, stride_px, shape),
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        # It may be another one at the next start, which must not be spared the check.
        return f"unknown, in process {os.getpid()}"


def _read(path: Path) -> list[str]:
    """The digests of a file that this user wrote and nobody else can; none where it is not so."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            others_write = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or others_write:
                return []
            content = file.read(MOST_BYTES + 1)
    except OSError:
        return []
    lines = content.decode("ascii", "replace").splitlines()
    if len(content) > MOST_BYTES or not all(map(DIGEST.fullmatch, lines)):
        return []
    return lines
