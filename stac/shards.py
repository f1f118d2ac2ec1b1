"""Shards: the series of many locations in large files, read at random while a network trains.

A folder of `shards.json` and `shard-00000.safetensors` …. Each shard holds n locations of T dates:

    images10  (n, T, C10, S, S)      bands sampled at 10 m          uint16 (reflectance × 10,000, 0 = no data)
    images20  (n, T, C20, S/2, S/2)  bands of 20 and 60 m, at 20 m  or uint8 (reflectance × 255)
    days      (n, T) int32           days since 1970-01-01, in order; -1 = no such date, after the others
    half      (n, T) int8            0 older set, 1 recent set, -1 = no such date
    lonlat    (n, 2) float64         degrees; NaN = unknown
    changed   (n,) float32           simulated series only: part of the chip that differs between the halves

NumPy is the heaviest thing imported, so that this runs on a bare machine. The files are safetensors, written and mapped
here in a few lines. Written, because the library's writer copies a whole shard once more and tells a full disk by an
error that is no `OSError`; mapped, because slices by the library take 32 ms where a mapping takes 18 (measured: 768
images of 3 × 264 × 264 bytes drawn out of 600 in the page cache, one of two cores).
"""

from __future__ import annotations

import mmap
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import DataError
from .files import sha256
from .shards_form import INDEX, Shard, ShardIndex, ShardsSpec, check_dates, places, read_index, shard_fault
from .shards_write import ShardWriter

__all__ = ["ShardWriter", "Shards", "ShardsSpec", "check_shards", "open_shards"]

_MAPPED = 400
"""Shards mapped at once. assumed: each holds a file open, and a process may usually open 1024."""

_SMALL = ("lonlat", "days", "half", "changed")

Arrays = dict[str, NDArray[Any]]


class Shards:
    """A folder of shards opened for reading; dates and places are in memory, pixels stay in the files.

    Safe to read from several threads.
    """

    def __init__(self, folder: Path, index: ShardIndex) -> None:
        """Map the shards once for what is small; see `open_shards`, which checks them first."""
        self.folder, self.spec, self.complete = folder, index.spec, index.complete
        self.ids: tuple[str, ...] = tuple(name for names in index.ids for name in names)
        """Ids of the N locations."""
        self.count: int = len(self.ids)
        """N, how many locations."""
        self._files = index.shards
        self._starts = np.cumsum([0] + [shard.count for shard in index.shards])
        # Bound here, so that what is mapped ends with this object.
        self._map = lru_cache(_MAPPED)(lambda number: _map_shard(folder, index.spec, index.shards[number]))
        form = index.spec.form(0).items()
        small = {name: [np.zeros(shape, dtype)] for name, (dtype, shape) in form if name in _SMALL}
        for shard in index.shards:
            arrays = _map_shard(folder, index.spec, shard)
            for name, parts in small.items():
                parts.append(arrays[name].copy())
        joined = {name: np.concatenate(parts) for name, parts in small.items()}
        self.days: NDArray[np.int32] = joined["days"]
        """(N, T) days since 1970-01-01, -1 = no such date."""
        self.half: NDArray[np.int8] = joined["half"]
        """(N, T) 0 older, 1 recent, -1 = no such date."""
        self.lonlat: NDArray[np.float64] = joined["lonlat"]
        """(N, 2) degrees, NaN = unknown."""
        self.changed: NDArray[np.float32] | None = joined.get("changed")
        """(N,) part of the chip that differs between the halves; None for real series."""

    def read(
        self,
        locations: NDArray[np.int64],
        dates: NDArray[np.int64],
        bands: tuple[str, ...],
        out: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Pixels of some dates of some locations; only these are read.

        Args:
            locations: (L,) from 0 to N - 1, in any order.
            dates: (L, K) positions in T; a missing date is all zeros.
            bands: C canonical bands, in the order wanted.
            out: (L, K, C, S, S) of the stored type to write into, contiguous (page-locked memory); None makes one.

        Returns:
            (L, K, C, S, S) of the stored type; bands of 20 m repeat each pixel 2 × 2.

        Raises:
            DataError: A band is not in the shards.
            IndexError: A location or a date lies outside.
            ValueError: `out` is of another type or shape.
        """
        runs = self._runs(bands)
        shape = (*dates.shape, len(bands), self.spec.side, self.spec.side)
        if out is None:
            out = np.empty(shape, self.spec.dtype)
        if out.shape != shape or out.dtype != self.spec.dtype or not out.flags.c_contiguous:
            raise ValueError(f"out is {out.dtype} {out.shape}, not {self.spec.dtype} {shape} in one piece")
        if ((locations < 0) | (locations >= self.count)).any() or ((dates < 0) | (dates >= self.spec.dates)).any():
            raise IndexError(f"locations from 0 to {self.count - 1} and dates to {self.spec.dates - 1} are here")
        shards = np.searchsorted(self._starts, locations, side="right") - 1
        for at in np.argsort(locations, kind="stable").tolist():  # in the order of the files
            arrays, row = self._map(int(shards[at])), locations[at] - self._starts[shards[at]]
            for k, date in enumerate(dates[at].tolist()):
                for name, first, last, begin in runs:
                    pixels = arrays[name][row, date, begin : begin + last - first]
                    target = out[at, k, first:last]
                    if name == "images10":
                        target[:] = pixels
                    else:
                        _double(pixels, target)
        return out

    def _runs(self, bands: tuple[str, ...]) -> list[tuple[str, int, int, int]]:
        """Bands that lie side by side in a file as they are wanted: (array, first, last + 1 wanted, first in it)."""
        stored = {band: ("images10", at) for at, band in enumerate(self.spec.bands10)}
        stored |= {band: ("images20", at) for at, band in enumerate(self.spec.bands20)}
        if absent := [band for band in bands if band not in stored]:
            found = f"{self.folder} holds no {' '.join(absent)}"
            raise DataError(found, "bands among " + " ".join(stored), "choose these, or write shards with the others")
        runs: list[tuple[str, int, int, int]] = []
        for at, band in enumerate(bands):
            name, begin = stored[band]
            if runs and runs[-1][0] == name and runs[-1][3] + at - runs[-1][1] == begin:
                runs[-1] = (name, runs[-1][1], at + 1, runs[-1][3])
            else:
                runs.append((name, at, at + 1, begin))
        return runs


def _double(pixels: NDArray[Any], target: NDArray[Any]) -> None:
    """Write (C, S/2, S/2) pixels into (C, S, S), each 2 × 2 times.

    Two equal neighbours are one integer of twice the width, which takes an eighth of the time of a broadcast.
    """
    wide = np.dtype(f"u{2 * pixels.itemsize}")
    pairs = pixels.astype(wide) * wide.type(1 + (1 << 8 * pixels.itemsize))
    rows = target.view(wide)
    rows[:, 0::2] = pairs
    rows[:, 1::2] = pairs


def _map_shard(folder: Path, spec: ShardsSpec, shard: Shard) -> Arrays:
    """The arrays of a shard, as views of its mapped file."""
    with (folder / shard.name).open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    form = spec.form(shard.count)
    at = places(form)
    return {name: np.ndarray(shape, dtype, mapped, at[name]) for name, (dtype, shape) in form.items()}


def open_shards(folder: Path) -> Shards:
    """Open a folder of shards, after a look at every file's size and head.

    Raises:
        DataError: The folder is none, or a shard is missing, cut or another; names the file and what to do.
    """
    index = read_index(folder)
    for shard in index.shards:
        if fault := shard_fault(folder, index.spec, shard):
            raise fault
    return Shards(folder, index)


def check_shards(folder: Path) -> list[str]:
    """Every fault of a folder of shards, by reading all of it; empty when there is none."""
    try:
        index = read_index(folder)
    except DataError as err:
        return [str(err)]
    faults = [] if index.complete else [f"{folder / INDEX} says that more was to come: run its command again"]
    listed = {shard.name for shard in index.shards}
    loose = sorted(path.name for path in folder.glob("shard-*.safetensors") if path.name not in listed)
    faults += [f"{folder / name} is not listed: remove it" for name in loose]
    for shard in index.shards:
        path = folder / shard.name
        if fault := shard_fault(folder, index.spec, shard):
            faults.append(str(fault))
        elif sha256(path) != shard.sha256:
            faults.append(f"{path} has changed since it was written (another SHA-256): remove it and write it again")
        else:
            arrays = _map_shard(folder, index.spec, shard)
            try:
                for row in range(shard.count):
                    check_dates(f"{row} of {path}", arrays["days"][row], arrays["half"][row])
            except ValueError as err:
                faults.append(f"{err}: out of order; write the shards again")
    return faults
