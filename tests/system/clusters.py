"""A Ray cluster of this machine, which ends with the test."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest

HOST = "127.0.0.2"
"""On the loopback; Ray takes 127.0.0.1 for the address that other machines see."""
OBJECT_STORE_BYTES = 100_000_000


@contextlib.contextmanager
def local_cluster(cores: int = 2) -> Iterator[str]:
    """Address of a cluster of one machine, with so many cores."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    pytest.importorskip("ray", reason="Ray is not installed; pip install -e '.[cluster]'")
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": cores,
            "node_ip_address": HOST,
            "object_store_memory": OBJECT_STORE_BYTES,
            "include_dashboard": False,
        },
    )
    try:
        yield cluster.address
    finally:
        cluster.shutdown()
