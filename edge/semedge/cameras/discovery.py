"""The cameras that are connected, by every way of reaching cameras.

Each way is queried in a separate process, all at once and within a time limit: vendors' libraries
hang, crash and write to the terminal. `python -m semedge.cameras.discovery NAME [FILE...]` is that
process; it prints one JSON document.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from semedge.cameras.device import Device
from semedge.core.errors import SemedgeError

WAYS = ("v4l2", "genicam", "pylon", "aravis")
"""Modules of this package with `load_library` and `list_devices`, in the order of the list."""


@dataclass(frozen=True)
class Listing:
    """What one way of reaching cameras sees.

    Attributes
    ----------
    way
        Its name.
    installed
        Whether the packages that it needs are installed.
    devices
        Cameras that are connected.
    problem
        Why the list may be incomplete: what to install, or what failed; empty where nothing did.
    """

    way: str
    installed: bool
    devices: tuple[Device, ...] = ()
    problem: str = ""

    def to_document(self) -> dict[str, Any]:
        """The listing as a JSON document."""
        return asdict(self)


def list_cameras(timeout_s: float, producers: Sequence[Path] = ()) -> list[Listing]:
    """Query every way at once.

    Parameters
    ----------
    timeout_s
        Longest wait for a list; a way that takes longer is reported as a problem.
    producers
        GenTL producers to query in addition to those of `GENICAM_GENTL64_PATH`.
    """
    until_s = time.monotonic() + timeout_s
    with contextlib.ExitStack() as queries:
        processes = {way: queries.enter_context(_start_query(way, producers)) for way in WAYS}
        return [_listing(way, process, until_s, timeout_s) for way, process in processes.items()]


@contextlib.contextmanager
def _start_query(way: str, producers: Sequence[Path]) -> Any:
    files = [str(path) for path in producers] if way == "genicam" else []
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, way, *files],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _listing(
    way: str, process: subprocess.Popen[bytes], until_s: float, timeout_s: float
) -> Listing:
    try:
        output, _ = process.communicate(timeout=max(0.1, until_s - time.monotonic()))
    except subprocess.TimeoutExpired:
        return Listing(way, True, problem=f"It returned no list within {timeout_s:g} s.")
    try:
        document = json.loads(output.splitlines()[-1])
        devices = tuple(Device(**device) for device in document["devices"])
        return Listing(**{**document, "devices": devices})
    except (IndexError, ValueError, KeyError, TypeError):
        return Listing(
            way, True, problem=f"Its library crashed (exit status {process.returncode})."
        )


def _query(way: str, producers: Sequence[Path]) -> dict[str, Any]:
    module = importlib.import_module(f"semedge.cameras.{way}")
    try:
        module.load_library()
    except SemedgeError as error:
        return asdict(Listing(way, False, problem=str(error)))
    except Exception as error:
        return asdict(Listing(way, True, problem=f"Its library failed: {error}."))
    try:
        devices = module.list_devices(producers) if way == "genicam" else module.list_devices()
    except Exception as error:
        return asdict(Listing(way, True, problem=str(error)))
    return asdict(Listing(way, True, tuple(devices)))


if __name__ == "__main__":
    print(json.dumps(_query(sys.argv[1], [Path(each) for each in sys.argv[2:]])), flush=True)
    # A vendor's library may crash while the interpreter unloads it; the list is already printed.
    os._exit(0)
