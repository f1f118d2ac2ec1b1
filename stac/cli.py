"""What the commands share: reading arguments that begin with a minus, and naming a folder for data."""

from __future__ import annotations

import os
import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

_NEGATIVE = re.compile(r"-[\d.]+,")


def parse_args(parser: ArgumentParser, argv: Sequence[str] | None) -> Namespace:
    """Parse arguments; a value such as `-122.4,39.6` is a value, not a flag.

    Args:
        parser: The command's parser.
        argv: Arguments without the program's name; None means the process's own.
    """
    words: list[str] = []
    for word in sys.argv[1:] if argv is None else argv:
        if _NEGATIVE.match(word) and words and words[-1].startswith("--") and "=" not in words[-1]:
            words[-1] += f"={word}"  # argparse would take it for an unknown flag
        else:
            words.append(word)
    return parser.parse_args(words)


def data_folder() -> Path:
    """Folder of stores, archives and caches: `AFTERIMAGE_DATA`, or `data` in the working directory."""
    return Path(os.environ.get("AFTERIMAGE_DATA") or "data")
