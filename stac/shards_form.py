"""The form of a folder of shards: what its shards have in common, its list, and the head of each file.

Every shard is a safetensors file whose head follows from the folder's `ShardsSpec` and the number of its locations, so
a head is compared, never interpreted. The format (a length, JSON of types, shapes and places, then the arrays):
https://github.com/huggingface/safetensors, "Format".
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .bands import BANDS
from .errors import DataError
from .files import write_json

VERSION = 1
"""Version of the form of `shards.json`."""

INDEX = "shards.json"
"""Name of the file that lists the shards of a folder."""

GSD = 10
"""Ground sampling of `images10`, metres."""

AGAIN = "run the command that wrote the shards again: it writes what is missing"
"""What to do about a shard that is missing or cut."""

_CODES = {"float64": "F64", "float32": "F32", "int32": "I32", "uint16": "U16", "uint8": "U8", "int8": "I8"}
_NAME = re.compile(r"shard-\d{5,}\.safetensors")

Form = dict[str, tuple[np.dtype[Any], tuple[int, ...]]]


@dataclass(frozen=True)
class ShardsSpec:
    """What every shard of a folder has in common."""

    bands10: tuple[str, ...]
    """Canonical bands of `images10`, in their order; may be empty."""
    bands20: tuple[str, ...]
    """Canonical bands of `images20`, in their order; may be empty."""
    side: int
    """S, side of a chip in pixels of 10 m; even."""
    dates: int
    """T, dates of a location, those that are missing included."""
    full: int
    """Stored value of reflectance 1: 10000 (uint16) or 255 (uint8)."""
    source: str
    """Where the pixels come from, in words."""
    licence: str
    """Licence of the pixels, in words."""
    truth: bool
    """Whether `changed` is stored: simulated series."""

    def __post_init__(self) -> None:
        """Refuse what cannot be stored, as `DataError`."""
        bands = self.bands10 + self.bands20
        if not bands or len(set(bands)) != len(bands) or not set(bands) <= set(BANDS):
            expected = "bands of " + " ".join(BANDS) + ", none twice"
            raise DataError(f"bands '{' '.join(map(str, bands))}'", expected, "correct the list of bands")
        if self.side < 2 or self.side % 2:
            raise DataError(f"a chip of {self.side} px", "an even number of pixels", "choose another side")
        if self.dates < 1 or self.full not in (255, 10000):
            found = f"{self.dates} dates, and reflectance 1 stored as {self.full}"
            raise DataError(found, "a date or more, and 255 or 10000", "correct them")

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels."""
        return np.dtype("uint8" if self.full == 255 else "<u2")

    def form(self, count: int) -> Form:
        """Type and shape of every array of a shard of `count` locations, in the order of the file."""
        rows, small = (count, self.dates), self.side // 2
        form: Form = {"lonlat": (np.dtype("<f8"), (count, 2)), "days": (np.dtype("<i4"), rows)}
        if self.truth:
            form["changed"] = (np.dtype("<f4"), (count,))
        if self.bands10:
            form["images10"] = (self.dtype, (*rows, len(self.bands10), self.side, self.side))
        if self.bands20:
            form["images20"] = (self.dtype, (*rows, len(self.bands20), small, small))
        return form | {"half": (np.dtype("i1"), rows)}


@dataclass(frozen=True)
class Shard:
    """One file of a folder."""

    name: str
    """Its name in the folder."""
    count: int
    """n, how many locations it holds."""
    sha256: str
    """Hexadecimal SHA-256 of the file."""
    bytes: int
    """Its size."""


@dataclass(frozen=True)
class ShardIndex:
    """What `shards.json` says."""

    spec: ShardsSpec
    """What the shards have in common."""
    shards: tuple[Shard, ...]
    """The files, in the order of the locations."""
    ids: tuple[tuple[str, ...], ...]
    """Ids of the locations of each file."""
    complete: bool
    """Whether the command that writes them has come to its end."""


def shard_name(number: int) -> str:
    """Name of a shard's file."""
    return f"shard-{number:05d}.safetensors"


def header(form: Form) -> bytes:
    """Head of a safetensors file of arrays of these types and shapes, which follow in this order."""
    entries, at = {}, 0
    for name, (dtype, shape) in form.items():
        end = at + dtype.itemsize * math.prod(shape)
        entries[name] = {"dtype": _CODES[dtype.name], "shape": list(shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format's own alignment
    return len(text).to_bytes(8, "little") + text


def places(form: Form) -> dict[str, int]:
    """Byte of the file at which each array begins; under "" the size of the file."""
    found, at = {}, len(header(form))
    for name, (dtype, shape) in form.items():
        found[name] = at
        at += dtype.itemsize * math.prod(shape)
    return found | {"": at}


def write_index(folder: Path, index: ShardIndex) -> None:
    """Write `shards.json`, whole or not at all."""
    content = {"version": VERSION, "complete": index.complete, "gsd": GSD, "dtype": index.spec.dtype.name}
    content |= asdict(index.spec)
    write_json(folder / INDEX, content | {"shards": [asdict(shard) for shard in index.shards], "ids": index.ids})


def read_index(folder: Path) -> ShardIndex:
    """Read `shards.json`.

    Raises:
        DataError: It is missing, damaged, or of another version.
    """
    path = folder / INDEX
    if not path.is_file():
        found = f"{folder} holds no {INDEX}" if folder.is_dir() else f"the folder {folder} is not there"
        raise DataError(found, "a folder of shards", "write it with stac.repack or stac.sample, or check the path")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["version"]
        return _parse_index(content) if version == VERSION else _refuse_version(path, version)
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        what = f"{path} cannot be understood ({type(err).__name__}: {err})"
        raise DataError(what, "the list of a folder of shards", "write the shards again into an empty folder") from err


def _refuse_version(path: Path, version: object) -> ShardIndex:
    do = "write the shards again with this version of the program"
    raise DataError(f"{path} is of version {str(version)[:40]}", f"version {VERSION}", do)


def _parse_index(content: dict[str, Any]) -> ShardIndex:
    """What the JSON says; `ValueError`, `KeyError` or `TypeError` when it is none of ours."""
    values = {field.name: content[field.name] for field in fields(ShardsSpec)}
    values |= {name: tuple(values[name]) for name in ("bands10", "bands20")}
    spec = ShardsSpec(**values)
    shards = tuple(Shard(**shard) for shard in content["shards"])
    ids = tuple(tuple(str(name) for name in names) for names in content["ids"])
    wrong = [shard.name for shard in shards if not _NAME.fullmatch(shard.name)]
    if wrong or len({shard.name for shard in shards}) != len(shards):
        raise ValueError(f"names of shards {wrong}")
    if [len(names) for names in ids] != [shard.count for shard in shards]:
        raise ValueError("as many ids as locations are wanted")
    if len({name for names in ids for name in names}) != sum(shard.count for shard in shards):
        raise ValueError("a location stands twice")
    if content["dtype"] != spec.dtype.name or not isinstance(content["complete"], bool):
        raise ValueError(f"dtype {content['dtype']}, complete {content['complete']}")
    return ShardIndex(spec, shards, ids, content["complete"])


def shard_fault(folder: Path, spec: ShardsSpec, shard: Shard) -> DataError | None:
    """What is wrong with a shard as far as its size and head show; None when nothing is."""
    path = folder / shard.name
    if not path.is_file():
        return DataError(f"{path} is missing", f"a file of {shard.bytes} bytes", AGAIN)
    size = path.stat().st_size
    form = spec.form(shard.count)
    if size != shard.bytes or size != places(form)[""]:
        return DataError(f"{path} has {size} bytes, as if it were cut", f"{shard.bytes} bytes", AGAIN)
    head = header(form)
    with path.open("rb") as file:
        if file.read(len(head)) != head:
            return DataError(f"{path} is no shard of this folder", "the arrays that shards.json names", AGAIN)
    return None


def check_dates(location: str, days: NDArray[Any], half: NDArray[Any]) -> None:
    """Check one location's dates.

    Args:
        location: Its name, for the message.
        days: (T,) not decreasing; -1 only after all others.
        half: (T,) 0 or 1; -1 where `days` is.

    Raises:
        ValueError: They are out of order, or a half is none.
    """
    known = int((days >= 0).sum())
    ordered = bool((days[known:] == -1).all() and (np.diff(days[:known]) >= 0).all())
    if not ordered or not np.isin(half[:known], (0, 1)).all() or (half[known:] != -1).any():
        raise ValueError(f"location {location}: days {days.tolist()}, half {half.tolist()}")
