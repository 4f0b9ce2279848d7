"""Files that are either whole or absent."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from semedge.errors import SemedgeError


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` beside `path`, then rename it there.

    A reader sees the old file or the new one, never a part of it, whatever moment the process
    is killed at. Raises `SemedgeError` where the disk is full or the folder cannot be written.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise SemedgeError(
            f"{path} could not be written ({error.strerror}); free some space or choose "
            "another folder."
        ) from error
