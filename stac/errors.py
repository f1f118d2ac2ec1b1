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

Commands end through `exit_code`: a `DataError` (and a full disk) becomes one sentence on standard error, exit code 2.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable


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


_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def exit_code(command: Callable[[], int]) -> int:
    """Run a command's body and turn what a person can mend into one sentence and exit code 2.

    Args:
        command: Takes nothing and returns the exit code of success.

    Returns:
        The command's own code; 2 on a `DataError` or a full disk; 130 when interrupted.
    """
    try:
        return command()
    except DataError as err:
        sys.stderr.write(f"error: {err}\n")
        return 2
    except OSError as err:
        if err.errno not in _DISK_FULL:
            raise
        where = f" at {err.filename}" if err.filename else ""
        sys.stderr.write(
            f"error: the disk is full{where} ({err.strerror}): free some room and run the same command again; "
            "what was already written is kept\n"
        )
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("stopped: run the same command again to go on from here\n")
        return 130
