"""Observations: location × time × embedding, in append-only Parquet parts, one for each block and month.

A part is written under a temporary name and renamed, and its footer says what it was made from: a part that exists and
belongs to the build is done, which is what makes a build resumable. A row is one location on one solar day. Its
embedding is null when the chip was not clear enough to be embedded; clear fraction and embedding are both null when
the pixels could not be read (a *missing observation*).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from stac.errors import StoreError

from .parts import MADE_FROM, REMAKE, first_line, read_metadata, write_part


@dataclass(frozen=True, eq=False)
class Observations:
    """Rows of one or several parts, in order of location, then time."""

    location_id: NDArray[np.object_]
    """(N,) text."""
    time: NDArray[np.datetime64]
    """(N,) datetime64[ms], UTC: sensing time of the earliest scene behind the chip."""
    clear_fraction: NDArray[np.float32]
    """(N,) 0 to 1; NaN where the pixels could not be read."""
    item_ids: pa.ChunkedArray
    """(N,) lists of text: ids of the scenes that supplied the pixels. In Arrow: most callers never look."""
    embedding: NDArray[np.float16]
    """(N, D); rows of NaN where there is none."""

    def __len__(self) -> int:
        return len(self.location_id)

    @property
    def embedded(self) -> NDArray[np.bool_]:
        """(N,) which rows have an embedding."""
        return ~np.isnan(self.embedding[:, 0])

    def to_frame(self) -> pd.DataFrame:
        """Columns `location_id, time (UTC), clear_fraction, item_ids, embedding` (an array, or None)."""
        vectors = [row if has else None for row, has in zip(self.embedding, self.embedded, strict=True)]
        return pd.DataFrame(
            {
                "location_id": self.location_id,
                "time": pd.to_datetime(self.time, utc=True),
                "clear_fraction": self.clear_fraction,
                "item_ids": self.item_ids.to_pylist(),
                "embedding": vectors,
            }
        )


class ObservationRows:
    """Collects a part's rows day by day."""

    def __init__(self, dim: int) -> None:
        """Start empty.

        Args:
            dim: D, the embedding's length.
        """
        self._dim = dim
        self._location_id: list[str] = []
        self._time: list[datetime] = []
        self._clear: list[NDArray[np.float32]] = []
        self._item_ids: list[list[str]] = []
        self._embedding: list[NDArray[np.float16]] = []

    def add(
        self,
        location_id: Sequence[str],
        time: Sequence[datetime],
        clear_fraction: NDArray[np.float32],
        item_ids: Sequence[list[str]],
        embedding: NDArray[np.floating],
    ) -> None:
        """Append the rows of one day.

        Args:
            location_id: (n,) text.
            time: (n,) UTC.
            clear_fraction: (n,) float32, NaN where the pixels could not be read.
            item_ids: (n,) lists of ids.
            embedding: (n, D), rows of NaN where there is none.
        """
        self._location_id.extend(location_id)
        self._time.extend(time)
        self._clear.append(np.asarray(clear_fraction, dtype=np.float32))
        self._item_ids.extend(item_ids)
        self._embedding.append(np.asarray(embedding, dtype=np.float16))

    def to_table(self) -> pa.Table:
        """The rows, in order of location, then time, as Arrow."""
        embedding = np.concatenate(self._embedding) if self._embedding else np.empty((0, self._dim), np.float16)
        clear = np.concatenate(self._clear) if self._clear else np.empty(0, np.float32)
        null = np.isnan(embedding[:, 0])
        values = pa.array(np.where(np.isnan(embedding), 0, embedding).reshape(-1), type=pa.float16())
        table = pa.table(
            {
                "location_id": pa.array(self._location_id, pa.string()),
                "time": pa.array(self._time, pa.timestamp("ms", tz="UTC")),
                "clear_fraction": pa.array(clear, pa.float32(), mask=np.isnan(clear)),
                "item_ids": pa.array(self._item_ids, pa.list_(pa.string())),
                "embedding": pa.FixedSizeListArray.from_arrays(values, self._dim, mask=pa.array(null)),
            },
            schema=observation_schema(self._dim),
        )
        return table.sort_by([("location_id", "ascending"), ("time", "ascending")])


def observation_schema(dim: int) -> pa.Schema:
    """Columns of a part; `dim` is D, the embedding's length."""
    return pa.schema(
        [
            pa.field("location_id", pa.string(), nullable=False),
            pa.field("time", pa.timestamp("ms", tz="UTC"), nullable=False),
            pa.field("clear_fraction", pa.float32()),
            pa.field("item_ids", pa.list_(pa.string())),
            pa.field("embedding", pa.list_(pa.float16(), dim)),
        ]
    )


@dataclass(frozen=True)
class Counts:
    """How many rows of which kind a part holds."""

    observations: int
    """Rows."""
    embedded: int
    """Rows with an embedding."""
    missing: int
    """Rows whose pixels could not be read."""


_COUNTS = "afterimage:counts"
_ROW_GROUP = 16_384
"""Rows that are read together: rows are in order of location, so a few locations are read without the rest."""


def keep_read(new: pa.Table, old: pa.Table, meridian: float) -> pa.Table:
    """A part that was read again, in which nothing is missing that was there before.

    Args:
        new: What was read now.
        old: What the same block and month held before; the same columns.
        meridian: Longitude, degrees, by whose sun days are told: a row is known by its location and solar day.

    Returns:
        `new`, in order; where its row is missing, what `old` knew: its row, or that there is no data.
    """
    missing = np.asarray(new.column("clear_fraction").is_null())
    if not missing.any():
        return new
    row_of = {key: row for row, key in enumerate(_solar_keys(old, meridian))}
    had = np.array([row_of.get(key, -1) for key in _solar_keys(new, meridian)])
    merged = pa.concat_tables([new.filter(pa.array(~missing)), old.take(had[missing & (had >= 0)])])
    return merged.sort_by([("location_id", "ascending"), ("time", "ascending")])


def _solar_keys(table: pa.Table, meridian: float) -> list[tuple[str, int]]:
    """Location and solar day (days since 1970) of each row."""
    shift = np.timedelta64(round(meridian / 15 * 3600), "s")
    days = (table.column("time").to_numpy().astype("datetime64[s]") + shift).astype("datetime64[D]").astype(int)
    return list(zip(table.column("location_id").to_pylist(), days.tolist(), strict=True))


def save_observations(table: pa.Table, path: Path, made_from: Mapping[str, Any] | None = None) -> None:
    """Write a part, whole or not at all.

    Args:
        table: Of one block and month (`ObservationRows.to_table`).
        path: Where to.
        made_from: What the part depends on, kept in its footer (`index.parts.belongs` compares it).

    Raises:
        OSError: The disk is full.
    """
    clear, embedding = table.column("clear_fraction"), table.column("embedding")
    counts = Counts(table.num_rows, table.num_rows - embedding.null_count, clear.null_count)
    metadata = {_COUNTS: asdict(counts), MADE_FROM: dict(made_from or {})}
    table = table.replace_schema_metadata({name: json.dumps(value) for name, value in metadata.items()})
    write_part(table, path, use_dictionary=["location_id", "item_ids"], row_group_size=_ROW_GROUP)


def count_observations(path: Path) -> Counts:
    """The counts of a part, from its footer.

    Raises:
        StoreError: The part is damaged.
    """
    found = read_metadata(path, _COUNTS)
    try:
        return Counts(**found)
    except TypeError as err:
        raise _unreadable(path, "its footer holds no counts") from err


def open_part(path: Path) -> pa.Table:
    """A part's rows as Arrow.

    Raises:
        StoreError: The part is damaged.
    """
    return _read(path, None)


def list_locations(paths: Iterable[Path]) -> list[str]:
    """Ids of the locations in some parts, in order."""
    found: set[str] = set()
    for path in paths:
        found.update(_read(path, ["location_id"]).column("location_id").unique().to_pylist())
    return sorted(found)


def open_observations(paths: Iterable[Path], between: tuple[str, str] | None = None) -> Observations:
    """Read parts.

    Args:
        paths: Parts of one store, in any order.
        between: First and last location id to keep; None keeps all.

    Raises:
        StoreError: A part is missing, damaged, or of another layout.
    """
    tables = [_read(path, None, between) for path in sorted(paths)]
    if not tables:
        raise StoreError("there are no observations", "at least one part", "run the same index.build command again")
    return _from_table(pa.concat_tables(tables).sort_by([("location_id", "ascending"), ("time", "ascending")]))


def _read(path: Path, columns: list[str] | None, between: tuple[str, str] | None = None) -> pa.Table:
    """A part as Arrow."""
    span = None if between is None else [("location_id", ">=", between[0]), ("location_id", "<=", between[1])]
    try:
        return pq.read_table(path, columns=columns, filters=span, partitioning=None).replace_schema_metadata(None)
    except Exception as err:  # a flipped bit can raise anything
        raise _unreadable(path, first_line(err)) from err


def _unreadable(path: Path, reason: str) -> StoreError:
    """The error for a damaged part."""
    return StoreError(f"part {path} cannot be read ({reason})", "a whole Parquet file", REMAKE)


def _from_table(table: pa.Table) -> Observations:
    """Arrow to NumPy; nulls become NaN."""
    column = table.column("embedding").combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # an empty table has no chunk to combine
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], type=column.type)
    dim = column.type.list_size
    values = column.values.slice(column.offset * dim, len(column) * dim)
    embedding = np.array(values.to_numpy(zero_copy_only=False), dtype=np.float16).reshape(len(column), dim)
    embedding[np.asarray(column.is_null())] = np.nan
    # As a dictionary each id is one Python text, however many rows it has.
    ids = table.column("location_id").combine_chunks().dictionary_encode()
    ids = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
    names = np.asarray(ids.dictionary.to_pylist(), dtype=object)
    return Observations(
        location_id=names[ids.indices.to_numpy()] if len(ids) else np.empty(0, dtype=object),
        time=table.column("time").to_numpy().astype("datetime64[ms]"),
        clear_fraction=table.column("clear_fraction").to_numpy(zero_copy_only=False).astype(np.float32),
        item_ids=table.column("item_ids"),
        embedding=embedding,
    )


def check_observations(path: Path, dim: int) -> list[str]:
    """Every fault of a part: schema, order, values out of range, doubled rows.

    Args:
        path: The part.
        dim: D, the embedding's length that the store states.
    """
    try:
        table = pq.read_table(path, partitioning=None)
    except (OSError, pa.ArrowException) as err:
        return [f"{path.name}: cannot be read ({err})"]
    if not table.schema.equals(observation_schema(dim)):
        return [f"{path.name}: columns differ from the contract: {table.schema.to_string(show_schema_metadata=False)}"]
    rows, faults = _from_table(table), []
    keys = list(zip(rows.location_id, rows.time.tolist(), strict=True))
    if keys != sorted(keys):
        faults.append(f"{path.name}: rows are not in order of location and time")
    if len(set(keys)) != len(keys):
        faults.append(f"{path.name}: {len(keys) - len(set(keys))} rows stand twice")
    clear = rows.clear_fraction[~np.isnan(rows.clear_fraction)]
    if ((clear < 0) | (clear > 1)).any():
        faults.append(f"{path.name}: clear fractions outside 0 to 1")
    if (rows.embedded & np.isnan(rows.clear_fraction)).any():
        faults.append(f"{path.name}: embeddings of observations that could not be read")
    if np.isinf(rows.embedding).any():
        faults.append(f"{path.name}: embeddings beyond float16's range")
    return faults
