"""A check of a bundle's graphs in a child process, which a hostile or damaged graph may kill.

The runtime trusts a graph: one with a missing input, or with a stride of a thousand million, ends
the process or takes all memory. So a child process with limits loads the graphs and scores a frame
first.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import zipfile
from typing import BinaryIO

import numpy as np

from semedge.core.errors import SemedgeError
from semedge.core.frame import GrayImage
from semedge.inference.bundle import MANIFEST, Bundle, parse_bundle_file
from semedge.inference.detector import Detector
from semedge.inference.passed_graphs import PassedGraphs, check_digest

LIMIT_S = 60
"""Longest check: loading, and one frame."""

MOST_BYTES = 4 * 2**30
"""Most memory of the child, or half of the machine's where that is less."""

REFUSED = 3
LONGEST_MESSAGE_BYTES = 10_000

PASSED = PassedGraphs()
"""The checks that need not be repeated."""


def check_graphs(
    bundle: Bundle, *, stride_px: int | None = None, image: GrayImage | None = None
) -> None:
    """Load a bundle and score a frame in a child process, once for each bundle and size of frame.

    A check that is in `PASSED` is not repeated.

    Parameters
    ----------
    bundle
        The bundle, verified but not loaded.
    stride_px
        Distance between patches; the bundle's own where None.
    image
        The frame to score, `(height, width)`; where None, a blank one of a patch and a pixel.

    Raises
    ------
    SemedgeError
        Where the child refuses the bundle, crashes, or reaches a limit of time or memory.
    """
    digest = check_digest(bundle.sha256, stride_px, () if image is None else image.shape)
    if digest in PASSED:
        return
    with _in_memory("bundle") as file, _in_memory("frame") as frame:
        _write(file, bundle)
        if image is not None:
            np.save(frame, image, allow_pickle=False)
            frame.flush()
        _run_child(bundle.name, file.fileno(), frame.fileno(), stride_px)
    PASSED.add(digest)


def _in_memory(name: str) -> BinaryIO:
    return os.fdopen(os.memfd_create(f"semedge-{name}", os.MFD_CLOEXEC), "w+b")


def _write(file: BinaryIO, bundle: Bundle) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(MANIFEST, bundle.manifest.model_dump_json(exclude_none=True))
        for name, content in bundle.members.items():
            archive.writestr(name, content)
    file.flush()


def _run_child(name: str, file: int, frame: int, stride_px: int | None) -> None:
    command = [sys.executable, "-m", __name__, str(file), str(frame), str(stride_px or 0)]
    paths = os.pathsep.join(path for path in sys.path if path)
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(file, frame),
            env=os.environ | {"PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1"},
        )
    except OSError as error:
        raise SemedgeError(
            f"The graphs of {name} could not be checked in a child process ({error.strerror}); "
            "free some memory and try again."
        ) from error
    # A child that waits uses no processor time, and so does not reach that limit.
    killer = threading.Timer(LIMIT_S + 5, child.kill)
    killer.start()
    try:
        message, _ = child.communicate()
    finally:
        killer.cancel()
    if child.returncode == 0:
        return
    if child.returncode == REFUSED:
        raise SemedgeError(message[:LONGEST_MESSAGE_BYTES].decode("utf-8", "replace"))
    raise _refusal(name, _cause(child.returncode))


def _cause(status: int) -> str:
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"they take longer than {LIMIT_S} s, or were killed"
    if status < 0:
        return f"they end the process that runs them, with signal {signal.Signals(-status).name}"
    return f"they end the process that runs them, with status {status}"


def _refusal(name: str, cause: str) -> SemedgeError:
    return SemedgeError(
        f"The graphs of {name} cannot be run: {cause}; export the detector again, from a source "
        "that you trust."
    )


def _limit() -> None:
    half = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    most_bytes = min(MOST_BYTES, half)
    resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, most_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _child(file: int, frame: int, stride_px: int | None) -> None:
    """Load and score, within limits; called in the child process alone."""
    _limit()
    with os.fdopen(file, "rb") as opened, os.fdopen(frame, "rb") as shown:
        opened.seek(0)
        shown.seek(0)
        try:
            bundle = parse_bundle_file(opened, "in the check", "")
            with Detector(bundle, stride_px=stride_px, workers=1) as detector:
                if os.fstat(frame).st_size:
                    detector.score(np.load(shown, allow_pickle=False))
        except MemoryError:
            raise SemedgeError("it needs more memory than this machine can give") from None


def _main(arguments: list[str]) -> int:
    file, frame, stride_px = map(int, arguments)
    try:
        _child(file, frame, stride_px or None)
    except Exception as error:
        print(str(error) or type(error).__name__, end="")
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
