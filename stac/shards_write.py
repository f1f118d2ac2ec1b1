"""How shards are written: a location at a time, a shard whole or not at all, and on from there after a kill."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import DataError
from .files import lock, remove_leftovers, write_whole
from .shards_form import (
    INDEX,
    Shard,
    ShardIndex,
    ShardsSpec,
    check_dates,
    header,
    places,
    read_index,
    shard_fault,
    shard_name,
    write_index,
)


class ShardWriter:
    """Writes locations into a folder, a shard at a time; killed at any time, it goes on after the last whole shard.

    Use it in a `with` block, and `close` it inside when all is there. Leaving the block without that, by an error too,
    keeps what was added, as a folder that is not complete.
    """

    def __init__(self, folder: Path, spec: ShardsSpec, per_shard: int = 256) -> None:
        """Take up the folder; shards that are missing or cut leave the list, to be written anew.

        Args:
            folder: Made when absent.
            spec: What every shard has in common.
            per_shard: Locations in a shard; they are kept in memory until it is full.

        Raises:
            DataError: Shards of another kind stand there, or another run writes to it (`StoreError`).
        """
        if per_shard < 1:
            raise ValueError(f"{per_shard} locations in a shard")
        self.folder, self.spec, self.per_shard = folder, spec, per_shard
        self._shards: list[Shard] = []
        self._ids: list[tuple[str, ...]] = []
        self._waiting: list[tuple[str, dict[str, NDArray[Any]]]] = []
        self._closed = False
        with contextlib.ExitStack() as held:
            held.enter_context(lock(folder))
            self._resume()
            self._held = held.pop_all()  # until `close`
        self.done: set[str] = {name for names in self._ids for name in names}
        """Ids of the locations added, now or by an earlier run."""

    def _resume(self) -> None:
        """Take over the whole shards of an earlier run."""
        remove_leftovers(self.folder)
        if not (self.folder / INDEX).exists():
            return
        index = read_index(self.folder)
        if index.spec != self.spec:
            names = [name for name, value in vars(index.spec).items() if value != getattr(self.spec, name)]
            found = f"{self.folder} holds shards of another kind ({', '.join(names)} differ)"
            raise DataError(found, "shards of this kind", "give the same arguments as before, or choose another folder")
        for shard, ids in zip(index.shards, index.ids, strict=True):
            if shard_fault(self.folder, self.spec, shard) is None:
                self._shards.append(shard)
                self._ids.append(ids)

    def add(
        self,
        location_id: str,
        images10: NDArray[Any] | None,
        images20: NDArray[Any] | None,
        days: NDArray[Any],
        half: NDArray[Any],
        lonlat: tuple[float, float] | NDArray[Any],
        changed: float | None = None,
    ) -> None:
        """Add a location, a copy of it; fewer than T dates are filled up with missing ones.

        Args:
            location_id: Not yet in `done`.
            images10: (t, C10, S, S) of the spec's type, t ≤ T; None where the spec has no such bands.
            images20: (t, C20, S/2, S/2), likewise.
            days: (t,) days since 1970-01-01, not decreasing; -1 only after all others.
            half: (t,) 0 or 1; -1 where `days` is -1.
            lonlat: (2,) degrees; NaN if unknown.
            changed: Part of the chip that differs between the halves; given exactly when the spec says `truth`.

        Raises:
            ValueError: The location was added before, or an array is none of these: a fault of the caller's.
            OSError: The shard that is full now cannot be written; it is kept for another try.
        """
        given: dict[str, Any] = {"images10": images10, "images20": images20, "changed": changed}
        given = {name: value for name, value in given.items() if value is not None}
        given |= {"days": days, "half": half, "lonlat": lonlat}
        form = self.spec.form(1)
        if self._closed or location_id in self.done or set(given) != set(form):
            raise ValueError(f"location {location_id} with {sorted(given)}: added before, or not {sorted(form)}")
        row = {name: _fit_row(name, np.asarray(given[name]), *form[name]) for name in form}
        check_dates(location_id, row["days"][0], row["half"][0])
        self._waiting.append((location_id, row))
        self.done.add(location_id)
        if len(self._waiting) >= self.per_shard:
            self._write_shard()

    def _write_shard(self) -> None:
        """Write the waiting locations as one shard, then list it."""
        names = {shard.name for shard in self._shards}
        name = next(name for number in range(len(names) + 1) if (name := shard_name(number)) not in names)
        form = self.spec.form(len(self._waiting))
        digest = hashlib.sha256()
        with write_whole(self.folder / name) as temporary, temporary.open("wb") as file:
            for part in (header(form), *(row[name].tobytes() for name in form for _, row in self._waiting)):
                digest.update(part)
                file.write(part)
        self._shards.append(Shard(name, len(self._waiting), digest.hexdigest(), places(form)[""]))
        self._ids.append(tuple(location_id for location_id, _ in self._waiting))
        self._waiting = []
        self._list(complete=False)

    def _list(self, *, complete: bool) -> None:
        write_index(self.folder, ShardIndex(self.spec, tuple(self._shards), tuple(self._ids), complete))

    def close(self, complete: bool = True) -> None:
        """Write what waits, and free the folder; a second call does nothing.

        Args:
            complete: Whether this is all that there is to come.

        Raises:
            OSError: It cannot be written; the shards before are whole.
        """
        if self._closed:
            return
        self._closed = True
        with self._held:
            if self._waiting:
                self._write_shard()
            if self._shards or complete:
                self._list(complete=complete)

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # The error on its way says more than a second one from here.
        with contextlib.suppress(*((OSError,) if kind else ())):
            self.close(complete=False)


def _fit_row(name: str, value: NDArray[Any], dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """One location's array in the form of a shard of one; missing dates are 0, in `days` and `half` -1."""
    wanted = shape[1:]
    if name not in ("lonlat", "changed") and value.ndim:
        wanted = (min(len(value), shape[1]), *shape[2:])
    if value.shape != wanted or (name.startswith("images") and value.dtype != dtype):
        raise ValueError(f"{name} is {value.dtype} {value.shape}, not {dtype} {shape[1:]}")
    row = np.full(shape, -1 if name in ("days", "half") else 0, dtype)
    if value.ndim:
        row[0, : len(value)] = value
    else:
        row[0] = value
    return row
