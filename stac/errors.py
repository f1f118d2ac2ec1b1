"""Errors that a person can act on, and how a command reports them.

Every error that comes from data or input rather than from a bug is a `DataError`, whose text has three parts: what was
found, what was expected, what to do.

    DataError
    ├── CatalogError    a catalog that cannot be reached, read or understood
    ├── AreaError       an area, place name or period that is not one, or that holds nothing
    ├── ItemError       a STAC item that lacks a band, a baseline, a georeference
    ├── ReadError       pixels that cannot be read
    ├── WeightsError    weights that are missing, of another kind, or want bands that are not there (encoder)
    └── StoreError      a store that is missing, damaged, of another version, or made otherwise (index)

Commands end through `exit_code`: a `DataError` or an `OSError` becomes one sentence on standard error and exit code 2,
a signal to stop becomes one line and 128 + its number. Any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType


class DataError(Exception):
    """Something is wrong with what was given, and the person who gave it can mend it."""

    def __init__(self, found: str, expected: str, do: str) -> None:
        """Make the error from its three parts.

        Args:
            found: What was found, with names and numbers ("the catalog answered with HTML").
            expected: What was expected ("a STAC API's JSON").
            do: What to do, as an order ("check the address").
        """
        super().__init__(found, expected, do)
        self.found = found
        self.expected = expected
        self.do = do

    def __str__(self) -> str:
        return f"{self.found} (expected {self.expected}): {self.do}"


class CatalogError(DataError):
    """A catalog cannot be reached, read or understood."""


class AreaError(DataError):
    """An area, place name or period is not one, or holds nothing."""


class ItemError(DataError):
    """A STAC item lacks what is needed of it."""


class ReadError(DataError):
    """Pixels cannot be read."""


class WeightsError(DataError):
    """Weights are missing, of another kind, or want bands that are not there."""


class StoreError(DataError):
    """A store is missing, damaged, of another version, or made with other arguments."""


GRACE_S = 5.0
"""How long a stopped command may tidy up, seconds; then it ends at once, which loses nothing that is whole."""

STOPPED = "stopped: run the same command again"

_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_BROKEN_PIPE = 128 + signal.SIGPIPE

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED = ("a path that you may read and write", "change its permissions, or choose another path")
_CAUSES = {
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.EROFS: ("a file system that can be written", "choose a path on another one"),
    errno.ENOENT: ("a file or folder that is there", "check the path"),
    errno.ENOTDIR: ("a folder on the way to it", "choose another path"),
    errno.EISDIR: ("a file", "add a file's name to it"),
    errno.EEXIST: ("a name that is free, or a folder", "choose another path"),
    errno.ENAMETOOLONG: ("a shorter name", "choose another path"),
    errno.EMFILE: ("fewer open files", "raise the limit with ulimit -n"),
}


def exit_code(command: Callable[[], int]) -> int:
    """Run a command's body and turn what a person can mend, or has stopped, into one sentence and an exit code.

    Args:
        command: Takes nothing and returns the exit code of success.

    Returns:
        The command's own code; 2 on a `DataError` or an `OSError`; 128 + the signal's number when stopped by one (130
        for Ctrl-C), or when whoever read the output has gone (141).
    """
    received: list[int] = []
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller (`>&-`)
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - to the end
    try:
        with _stoppable(received):
            code = command()
            sys.stdout.flush()  # here, where a full disk or a closed pipe can still be told
            return code
    except BaseException as err:
        if received:  # whatever the interruption was turned into on its way
            return _tell(STOPPED, 128 + received[0])
        if isinstance(err, KeyboardInterrupt):
            return _tell(STOPPED, 128 + signal.SIGINT)
        if isinstance(err, DataError):
            return _tell(f"error: {err}", 2)
        if isinstance(err, BrokenPipeError):
            _drop_output()
            return _BROKEN_PIPE
        if isinstance(err, OSError):
            _drop_output()
            return _tell(f"error: {_explain(err)}", 2)
        raise


def _explain(err: OSError) -> str:
    """What the operating system refused, as one sentence with the path, the cause and what to do."""
    cause = " ".join(str(err.strerror or err or type(err).__name__).split())
    name = err.filename2 or err.filename
    if err.errno in _DISK_FULL:
        where = f" at {name}" if name else ""
        do = "free some room and run the same command again; what was already written is kept"
        return f"the disk is full{where} ({cause}): {do}"
    expected, do = _CAUSES.get(err.errno or 0, ("no such failure", "mend the cause and run the same command again"))
    return str(DataError(f"{name}: {cause}" if name else cause, expected, do))


def _tell(sentence: str, code: int) -> int:
    """Write a line on standard error, if anyone still reads it, and give the code back."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{sentence}\n")
        sys.stderr.flush()
    return code


def _drop_output() -> None:
    """Let what cannot be written to standard output go, so that the interpreter does not try again at its end."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported: an exception there can abort the process, inside of an extension module."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _end_if_late(told: socket.socket) -> None:
    """Wait for a signal's number, then for the end; end the process when that does not come in time."""
    with told:
        number = _next_stop(told)
        if number is None:
            return
        told.settimeout(GRACE_S)
        with contextlib.suppress(TimeoutError):
            if _next_stop(told) is None:
                return
    _tell(STOPPED, 0)
    os._exit(128 + number)


def _next_stop(told: socket.socket) -> int | None:
    """Number of the next signal to stop; None at the end."""
    while byte := told.recv(1):
        if byte[0] in _STOPS:
            return byte[0]
    return None


@contextlib.contextmanager
def _stoppable(received: list[int]) -> Iterator[None]:
    """Within, a signal to stop raises `KeyboardInterrupt` and is noted; a second one, or a long wait, ends at once.

    Python runs a signal's handler between two steps of its main thread, which may be waiting within a library. So the
    numbers also go, at once, to a thread that watches over the end. Signals that the caller has this process ignore
    (`nohup`) stay ignored. Only the main thread can do this.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if _is_importing(frame):
            _tell(STOPPED, 0)
            os._exit(128 + number)
        raise KeyboardInterrupt

    told, teller = socket.socketpair()
    teller.setblocking(False)
    threading.Thread(target=_end_if_late, args=(told,), name="stop", daemon=True).start()
    found = {number: signal.getsignal(number) for number in _STOPS}
    # None: set by a program that holds this one; it cannot be put back.
    previous = {number: handler for number, handler in found.items() if handler not in (signal.SIG_IGN, None)}
    woken = signal.set_wakeup_fd(teller.fileno(), warn_on_full_buffer=False)
    try:
        for number in previous:
            signal.signal(number, handle)
        yield
    finally:
        signal.set_wakeup_fd(woken)
        teller.close()
        for number, handler in previous.items():
            signal.signal(number, handler)
