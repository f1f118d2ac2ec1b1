"""What the commands share: reading arguments, checking where output goes, and naming a folder for data."""

from __future__ import annotations

import os
import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

from .errors import DataError

N = TypeVar("N", int, float)

_NEGATIVE = re.compile(r"-[\d.]+,")


def parse_args(parser: ArgumentParser, argv: Sequence[str] | None) -> Namespace:
    """Parse arguments; a value such as `-122.4,39.6` is a value, not a flag.

    What is wrong with them is told in one line, without argparse's lines of usage, and ends the program with code 2.

    Args:
        parser: The command's parser.
        argv: Arguments without the program's name; None means the process's own.
    """

    def refuse(message: str) -> NoReturn:
        parser.exit(2, f"error: {message}: see {parser.prog} --help\n")

    parser.error = refuse  # type: ignore[method-assign]
    words: list[str] = []
    for word in sys.argv[1:] if argv is None else argv:
        if _NEGATIVE.match(word) and words and words[-1].startswith("--") and "=" not in words[-1]:
            words[-1] += f"={word}"  # argparse would take it for an unknown flag
        else:
            words.append(word)
    return parser.parse_args(words)


def number(flag: str, kind: Callable[[str], N], expected: str, fits: Callable[[N], bool]) -> Callable[[str], N]:
    """A type for `add_argument`: a number within limits, refused in one sentence that names the flag.

    Args:
        flag: As it is typed: `--seed`.
        kind: `int` or `float`.
        expected: The limits, in words: "a whole number from 0".
        fits: Whether a number is within them.

    Returns:
        A function of what was typed. It raises `DataError`: parse within `exit_code`.
    """

    def read(text: str) -> N:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not fits(value):
            raise DataError(f"{flag} {text[:40]}", expected, f"correct {flag}")
        return value

    return read


def check_output(path: str | Path, flag: str = "--out") -> Path:
    """Check, before any work, that a file can be written at a path.

    Args:
        path: As it was typed.
        flag: The flag that it was typed after, for the message.

    Raises:
        DataError: The path is empty, is a folder or a device, or lies in no folder that can be written.
    """
    target = Path(path)
    if str(target) == ".":  # what `Path` makes of nothing
        raise DataError(f"{flag} names no file", "the path of a file", f"give one after {flag}")
    if _stands(target, flag) and target.is_dir():
        raise DataError(f"{flag} {target} is a folder", "the path of a file", "add a file's name to it")
    if target.exists() and not target.is_file():
        raise DataError(
            f"{flag} {target} is a device or a pipe", "the path of a file", f"choose another one after {flag}"
        )
    _check_parent(target, flag)
    return target


def check_folder(path: str | Path, flag: str) -> Path:
    """Check, before any work, that a folder is there and can be written, or can be made.

    Args:
        path: As it was typed.
        flag: The flag that it was typed after, for the message.

    Raises:
        DataError: The path is empty, is a file, or lies in no folder that can be written.
    """
    target = Path(path)
    if not str(path):
        raise DataError(f"{flag} names no folder", "the path of a folder", f"give one after {flag}")
    if not _stands(target, flag):
        _check_parent(target, flag)
    elif not target.is_dir():
        raise DataError(f"{flag} {target} is a file", "a folder, or a name that is free", "choose another path")
    elif not _writable(target):
        raise DataError(f"{flag} {target} cannot be written", "a folder that you may write to", _OTHER)
    return target


_OTHER = "choose another path, or change the permissions"


def _stands(path: Path, flag: str) -> bool:
    """Whether something stands at a path; a path that cannot be looked at is refused."""
    try:
        return path.exists()
    except OSError as err:  # a folder that may not be entered, a name that is too long
        raise DataError(f"{flag} {path} cannot be reached ({err.strerror})", "a path within reach", _OTHER) from err


def _check_parent(target: Path, flag: str) -> None:
    """Refuse a path whose nearest existing parent is no folder that can be written."""
    parent = next(parent for parent in target.absolute().parents if _stands(parent, flag))
    if not parent.is_dir():
        raise DataError(
            f"{flag} {target} lies below {parent}, which is a file", "a folder there", "choose another path"
        )
    if not _writable(parent):
        raise DataError(f"{flag} {target} cannot be written in {parent}", "a folder that you may write to", _OTHER)


def _writable(folder: Path) -> bool:
    """Whether this process may make files in a folder."""
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)


def data_folder() -> Path:
    """Folder of stores, archives and caches: `AFTERIMAGE_DATA`, or `data` in the working directory."""
    return Path(os.environ.get("AFTERIMAGE_DATA") or "data")
