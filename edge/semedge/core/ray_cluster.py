"""A connection to a Ray cluster (extra: cluster); Ray is imported only when one is opened."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

from semedge.core.errors import SemedgeError
from semedge.core.optional import import_extra

REACH_S = 10


@contextlib.contextmanager
def joined_cluster(address: str) -> Iterator[Any]:
    """The module `ray`, connected to the cluster at `address`.

    Raises `SemedgeError` where Ray is not installed or there is no cluster.
    """
    ray = import_extra("ray", "cluster", "--ray")
    try:
        _reach(address)
        ray.init(address=address, log_to_driver=False, logging_level="error")
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].removesuffix(".")
        raise SemedgeError(
            f"There is no Ray cluster at {address} ({reason}); start one with `ray start --head`, "
            "or leave --ray out."
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Raise `OSError` where nothing listens at `HOST:PORT`; Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal() and "//" not in host:
        socket.create_connection((host, int(port)), REACH_S).close()
