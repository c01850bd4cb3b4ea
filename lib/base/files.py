"""Files that appear complete or not at all, and one clear error when they cannot be written."""

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lib.base.errors import OsteoBookError

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write below ``path`` into one clear error."""
    try:
        yield
    except OSError as error:
        reason = {
            errno.ENOSPC: "the disk is full. Fix: free some space",
            errno.EDQUOT: "the disk quota is used up. Fix: free some space",
            errno.EACCES: "no permission to write. Fix: make the folder writable",
            errno.EPERM: "no permission to write. Fix: make the folder writable",
            errno.EROFS: "the file system is read-only. Fix: choose a writable folder",
            errno.ENOTDIR: "a file stands where a folder is expected. Fix: move it away",
            errno.EEXIST: "a file stands where a folder is expected. Fix: move it away",
        }.get(error.errno or 0)
        if reason is None:
            raise
        raise OsteoBookError(
            f"{path}: {reason} and run again; what is already computed is kept."
        ) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside ``path`` to write to; rename it once everything is written.

    Raises:
        OsteoBookError: if the folder is not writable or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.partial")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Wait until no other process works on ``folder``; a killed process releases its lock.

    The lock file lies beside the folder and is never deleted: others may be waiting for it, and a
    deleted lock locks nothing.
    """
    lock = folder.parent / ".locks" / folder.name
    with explained(lock):
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("w")
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def listing(folder: Path) -> str:
    """Digest of the names, sizes and times of all files below ``folder``; links are followed."""
    entries = []
    for place, _, names in os.walk(folder, followlinks=True):
        for path in (Path(place, name) for name in names):
            with suppress(FileNotFoundError):  # a broken link
                state = path.stat()
                entries.append(f"{path.relative_to(folder)} {state.st_size} {state.st_mtime_ns}")
    return digest(*sorted(entries))


def write_table(frame: "pd.DataFrame", path: Path) -> None:
    """Write a data frame as CSV with every digit of its floats: equal results are equal bytes."""
    with replacing(path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n")


def digest(*parts: bytes | str) -> str:
    """Sixteen hexadecimal digits that identify the parts and their order."""
    hasher = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        hasher.update(len(data).to_bytes(8, "big") + data)
    return hasher.hexdigest()[:16]
