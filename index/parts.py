"""What a part was made from: kept in its footer, and held against what is asked before the part is used again.

A part that exists is whole when it was written (`stac.files.write_whole`), but it may since have been cut or damaged,
or copied from another store. Such a part does not belong, and is made again.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stac.files import sha256, write_whole

MADE_FROM = "afterimage:made_from"
"""Key of a Parquet file's own metadata; its value is a JSON object."""

_SEAL, _BLANK = b"afterimage:sha256", b"0" * 64

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


def write_part(table: pa.Table, path: Path, **options: Any) -> None:
    """Write a table as Parquet, whole or not at all, with its own seal: the SHA-256 of the file as it was without one.

    A manifest names every part's SHA-256, but there is none while a store is built; a seal needs none, and covers the
    footer too, for which Parquet has no checksum.

    Args:
        table: With its own metadata.
        path: Where to.
        options: Of `pyarrow.parquet.write_table`.

    Raises:
        OSError: The disk is full.
    """
    metadata = {**(table.schema.metadata or {}), _SEAL: _BLANK}
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), buffer, compression="zstd", **options)
    data = buffer.getbuffer()
    place = _seal_place(buffer.getvalue())
    data[place : place + len(_BLANK)] = hashlib.sha256(data).hexdigest().encode()
    with write_whole(path) as temporary:
        temporary.write_bytes(data)


def is_sealed(path: Path) -> bool:
    """Whether a file's seal is that of its content; False where it is missing or damaged.

    Raises:
        OSError: The system refuses the file.
    """
    try:
        data = bytearray(path.read_bytes())
    except FileNotFoundError:
        return False
    place = _seal_place(data)
    if place < 0:
        return False
    seal = bytes(data[place : place + len(_BLANK)])
    data[place : place + len(_BLANK)] = _BLANK
    return hashlib.sha256(data).hexdigest().encode() == seal


def _seal_place(data: bytes | bytearray) -> int:
    """Where a seal's 64 digits begin; negative where there is none."""
    # A value follows its key in the footer (Thrift's compact protocol: field 2, text, its length).
    intro = _SEAL + bytes((0x18, len(_BLANK)))
    at = data.rfind(intro)
    return at + len(intro) if at >= 0 else -1


def belongs(path: Path, made_from: Mapping[str, Any], known: str | None) -> bool:
    """Whether a Parquet part is there, whole, and made from just this.

    Args:
        path: The part.
        made_from: What its footer must say.
        known: Its SHA-256 by the manifest; None means that no manifest names it: then its own seal counts.

    Raises:
        OSError: The system refuses the file.
    """
    # First, as a damaged file is not to be parsed: that was seen to hang.
    whole = is_sealed(path) if known is None else path.is_file() and sha256(path) == known
    return whole and read_metadata(path, MADE_FROM) == made_from
