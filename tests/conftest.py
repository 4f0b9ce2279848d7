"""Fixtures that every folder of tests shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data_dir() -> Path:
    """Folder of the real SEM images: `$SEMEDGE_DATA`, or `../shared/data` beside the project."""
    folder = Path(os.environ.get("SEMEDGE_DATA", SHARED_DATA))
    if not folder.is_dir():
        pytest.skip(
            f"no real images: {folder} is not a folder; set SEMEDGE_DATA to the folder that holds "
            "nanotwice/"
        )
    return folder
