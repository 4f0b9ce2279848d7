"""Fixtures of the tests of the page."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from page_support import PageStation, page_station


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageStation]:
    with page_station(tmp_path_factory.mktemp("page")) as started:
        yield started


@pytest.fixture
def client(station: PageStation) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=station.address, timeout=5, trust_env=False) as opened:
        yield opened
