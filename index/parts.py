"""What a part was made from: kept in its footer, and held against what is asked before the part is used again.

A part that exists is whole when it was written (`stac.files.write_whole`), but it may since have been cut or damaged,
or copied from another store. Such a part does not belong, and is made again.
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stac.files import sha256

MADE_FROM = "afterimage:made_from"
"""Key of a Parquet file's own metadata; its value is a JSON object."""

REMAKE = "run the same index.build command again: it makes the file anew"
"""What to do about a part that is damaged."""


def digest(content: Any) -> str:
    """Hexadecimal SHA-256 of plain JSON, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def first_line(err: Exception) -> str:
    """What an error says, without the details that some libraries add on further lines."""
    return next(iter(str(err).splitlines()), "") or type(err).__name__


def read_metadata(path: Path, key: str) -> Any:
    """A JSON value of a Parquet file's own metadata; None where the file or the key is missing or damaged.

    Raises:
        OSError: The system refuses the file.
    """
    try:
        return json.loads(pq.read_schema(path).metadata[key.encode()])
    except (pa.ArrowException, KeyError, TypeError, ValueError):
        return None
    except OSError as err:
        _reraise_system(err)
        return None


def _reraise_system(err: OSError) -> None:
    """Arrow's own complaints about a file are an `OSError` without a number; a missing file is no complaint."""
    if err.errno not in (None, errno.ENOENT):
        raise err


def belongs(path: Path, made_from: Mapping[str, Any], known: str | None) -> bool:
    """Whether a Parquet part is there, whole, and made from just this.

    Args:
        path: The part.
        made_from: What its footer must say.
        known: Its SHA-256 by the manifest; None means that no manifest names it: its pages' checksums are compared.

    Raises:
        OSError: The system refuses the file.
    """
    if read_metadata(path, MADE_FROM) != made_from:
        return False
    return _is_whole(path) if known is None else sha256(path) == known


def _is_whole(path: Path) -> bool:
    """Whether every page can be read and agrees with its checksum."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for group in range(file.num_row_groups):
                file.read_row_group(group)
    except pa.ArrowException:
        return False
    except OSError as err:
        _reraise_system(err)
        return False
    return True
