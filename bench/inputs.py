"""What the benches share around their work: that a folder is an archive, or that of real data; figures into a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stac.errors import DataError
from stac.files import write_whole

ARCHIVE = ("catalog.json", "events.geojson")
"""Files that every archive of labelled events has."""


def check_archive(folder: Path, names: Sequence[str] = ARCHIVE) -> None:
    """Check that a folder holds the files of an archive, and that they are JSON.

    Args:
        folder: As it was typed after `--archive`.
        names: Names of the files; `areas.geojson` is read where it is there.

    Raises:
        DataError: A file is missing, or is no JSON object.
    """
    for name in names:
        if not (folder / name).is_file():
            raise DataError(
                f"no {folder / name}", f"an archive with {' and '.join(names)}", "name its folder with --archive"
            )
    optional = [name for name in ("areas.geojson",) if (folder / name).exists()]
    for name in (*names, *optional):
        try:
            content = json.loads((folder / name).read_text(encoding="utf-8"))
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise DataError(f"{folder / name} is damaged", "a JSON object", "write the archive anew")


def check_real(folder: Path, names: Sequence[str]) -> None:
    """Check that a folder holds parts of the real data.

    Args:
        folder: As it was typed after `--real`.
        names: Files and folders below it that are read.

    Raises:
        DataError: One of them is missing.
    """
    for name in names:
        if not (folder / name).exists():
            raise DataError(f"no {folder / name}", "the folder of real data", "name it with --real")


def write_json(path: Path | None, content: Any) -> None:
    """Write figures, whole or not at all; None: nowhere."""
    if path is not None:
        with write_whole(path) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
