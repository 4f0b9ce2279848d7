"""Fixtures of the tests of sinks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mqtt_broker import Broker, Listener, broker_in


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with broker_in(tmp_path) as started:
        yield started


@pytest.fixture
def listener(broker: Broker) -> Iterator[Listener]:
    listening = Listener(broker.port)
    try:
        yield listening
    finally:
        listening.close()
