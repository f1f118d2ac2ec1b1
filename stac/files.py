"""Files that are whole or absent: write under a temporary name, flush to the disk, rename.

What was interrupted leaves only a name that starts with `TEMPORARY`, which `remove_leftovers` clears on the next run.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import StoreError

TEMPORARY = ".part-"
"""How the names of unfinished files begin."""


@contextlib.contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path in the same folder; rename it to `path` when the block ends without an error.

    A symbolic link is followed, so that it stays one.

    Raises:
        OSError: As the writer raises it, with `path` for its name; the temporary file is removed and what stood at
            `path` is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: some writers choose their format by it.
    target = path.resolve()
    temporary = target.with_name(f"{TEMPORARY}{os.getpid()}-{target.name}")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as err:
        # A failed write names no file: give the one that the person knows.
        if err.errno is not None and str(err.filename or temporary) == str(temporary):
            err.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write JSON, whole or not at all; keys keep their order."""
    with write_whole(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def remove_leftovers(folder: Path) -> None:
    """Remove unfinished files of earlier runs, in a folder and below it."""
    for path in folder.rglob(f"{TEMPORARY}*"):
        path.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold a folder for one writer; the lock ends with the process, however that ends, and leaves no file behind.

    Raises:
        StoreError: Another process holds it.
        OSError: The folder cannot be made or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".lock"
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = path.stat().st_ino == os.fstat(file.fileno()).st_ino
        except (BlockingIOError, FileNotFoundError):
            held = False
        if not held:  # another process has it, or removed it at its end just after we opened it
            raise StoreError(
                f"another build is writing to {folder}", "one build at a time", "wait for it, or stop it first"
            )
        try:
            yield
        finally:
            path.unlink(missing_ok=True)  # while it is still held
