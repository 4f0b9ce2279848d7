"""A file has one lock, by whatever name it is reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from semedge.core.errors import SemedgeError
from semedge.core.files import locked


def test_a_symbolic_link_has_the_lock_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "journal.sqlite"
    file.write_bytes(b"")
    link = tmp_path / "other" / "link.sqlite"
    link.parent.mkdir()
    link.symlink_to(file)
    with (
        locked(file, "in use"),
        pytest.raises(SemedgeError, match="in use"),
        locked(link, "in use"),
    ):
        pass
    with locked(link, "in use"):
        pass
