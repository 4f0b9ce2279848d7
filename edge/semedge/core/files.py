"""Files that are written atomically, and files that one process has locked."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from semedge.core.errors import SemedgeError

USUAL_MODE = 0o644


def write_atomically(
    path: Path, content: bytes, *, mode: int = USUAL_MODE, sync: bool = True
) -> None:
    """Write `content` beside `path`, then rename it there.

    A reader sees the old file or the new one, never a part of it, whenever the process is
    killed; `mode` has the permissions. Without `sync` that does not hold for a power cut until
    `sync_file` was called. Raises `SemedgeError` where the disk is full or the folder cannot be
    written.
    """
    with written_atomically(path, mode=mode, sync=sync) as temporary:
        temporary.write_bytes(content)


@contextlib.contextmanager
def written_atomically(path: Path, *, mode: int = USUAL_MODE, sync: bool = True) -> Iterator[Path]:
    """A file beside `path` to write to, which replaces `path` at the end of the `with`.

    Raises `SemedgeError` where the disk is full or the folder cannot be written.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(descriptor)
        temporary = Path(name)
        yield temporary
        if sync:
            sync_file(temporary)
        temporary.chmod(mode)
        temporary.replace(path)
    except OSError as error:
        raise SemedgeError(
            f"{path} could not be written ({error.strerror}); {_remedy(error)}."
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _remedy(error: OSError) -> str:
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return "too many files and connections are open, so disconnect clients or raise the limit"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "make it writable or choose another folder"
    return "free some space or choose another folder"


def sync_file(path: Path) -> None:
    """Wait until the content of a file is on the disk; `OSError` where it cannot be."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def read_bounded(
    path: Path,
    most_bytes: int,
    *,
    unreadable: Callable[[str], str],
    too_large: Callable[[int], str],
) -> bytes:
    """Content of a file of at most `most_bytes`.

    Raises `SemedgeError` with the message that `unreadable` makes of the reason, or `too_large` of
    the size.
    """
    try:
        size_bytes = path.stat().st_size
        if size_bytes > most_bytes:
            raise SemedgeError(too_large(size_bytes))
        with path.open("rb") as file:
            # A file that grows meanwhile, or that has no size, is cut off and so damaged.
            return file.read(most_bytes)
    except OSError as error:
        raise SemedgeError(unreadable(error.strerror or type(error).__name__)) from error


@contextlib.contextmanager
def locked(path: Path, refusal: str) -> Iterator[None]:
    """Lock `path` by a lock file beside it; `SemedgeError` with `refusal` where it is locked.

    The system releases the lock when the process ends, however it ends.
    """
    # A symbolic link to the file must not give it another lock.
    path = path.resolve()
    lock = path.with_name(f"{path.name}.lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("w")
    except OSError as error:
        raise SemedgeError(
            f"{lock} could not be written ({error.strerror}); choose another folder."
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SemedgeError(refusal) from error
        yield
