"""Events: a location and an interval (before, after), one row and one change vector, as GeoParquet.

The row number is the vector's id in its shard. File metadata follows the STAC embeddings extension
(https://github.com/geo-embeddings/embedding-extension) where it has a name for a thing.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from stac.errors import StoreError
from stac.lattice import Location

from .observations import Observations
from .pairs import Pairing, Pairs, change_ratios, change_vectors, clearest_of_month, pair_times
from .parts import REMAKE, first_line, write_part

EVENT_COLUMNS = (
    "event_id",
    "location_id",
    "time_before",
    "time_after",
    "clear_fraction",
    "magnitude",
    "change_ratio",
    "label",
    "label_share",
    "geometry",
)
"""Columns of an events file, in order. `clear_fraction` is the smaller of the two; `label` may be null. `label_share`:
how much of what the label names the event shows, see `index.labels.add_labels`; null without a label."""


def new_events(
    observations: Observations, gsd: int, pairing: Pairing, *, monthly: bool = False
) -> tuple[gpd.GeoDataFrame, NDArray[np.float32]]:
    """Pair the observations of every location.

    Args:
        observations: In order of location, then time.
        gsd: Side of a pixel, metres.
        pairing: How observations are paired in time.
        monthly: Pair only the clearest observation of each calendar month.

    Returns:
        Events in order of location, then dates, and their (N, D) float32 unit change vectors.
    """
    frames, vectors = [], []
    dim = observations.embedding.shape[1]
    for rows in _by_location(observations):
        rows = rows[observations.embedded[rows]]
        if monthly:
            rows = rows[clearest_of_month(observations.time[rows], observations.clear_fraction[rows])]
        time, embedding = observations.time[rows], observations.embedding[rows]
        pairs = pair_times(time, pairing)
        if not len(pairs.before):
            continue
        unit, magnitude = change_vectors(embedding, pairs)
        clear = observations.clear_fraction[rows]
        location_id = str(observations.location_id[rows[0]])
        outline = Location.from_id(location_id, gsd).outline
        frames.append(
            {
                "location_id": np.full(len(magnitude), location_id, dtype=object),
                "time_before": time[pairs.before],
                "time_after": time[pairs.after],
                "clear_fraction": np.minimum(clear[pairs.before], clear[pairs.after]),
                "magnitude": magnitude,
                "change_ratio": change_ratios(embedding, time, pairs, magnitude),
                "geometry": np.full(len(magnitude), outline, dtype=object),
                "event_id": _event_ids(location_id, time, pairs, outline.centroid.x),
            }
        )
        vectors.append(unit)
    if not frames:
        return _empty_events(), np.empty((0, dim), np.float32)
    columns: dict[str, Any] = {name: np.concatenate([frame[name] for frame in frames]) for name in frames[0]}
    for name in ("time_before", "time_after"):
        columns[name] = pd.to_datetime(columns[name], utc=True).astype("datetime64[ms, UTC]")
    columns["label"] = np.full(len(columns["event_id"]), None, dtype=object)
    columns["label_share"] = np.full(len(columns["event_id"]), np.nan, dtype=np.float32)
    events = gpd.GeoDataFrame({name: columns[name] for name in EVENT_COLUMNS}, geometry="geometry", crs=4326)
    return events, np.concatenate(vectors)


def _by_location(observations: Observations) -> Iterator[NDArray[np.intp]]:
    """Rows of each location in turn."""
    ids = observations.location_id
    if len(ids):
        starts = np.nonzero(ids[1:] != ids[:-1])[0] + 1
        yield from np.split(np.arange(len(ids)), starts)


def _event_ids(location_id: str, time: NDArray[np.datetime64], pairs: Pairs, lon: float) -> NDArray[np.object_]:
    """`<location id>_<before>_<after>`, the solar days as YYYYMMDD.

    By UTC two observations of one place can share a date: near 157° east the orbit passes about midnight UTC.

    Args:
        location_id: The location.
        time: (T,) UTC.
        pairs: P pairs of rows.
        lon: Longitude of the location, degrees.
    """
    solar = time + np.timedelta64(round(lon / 15 * 3_600_000), "ms")
    dates = np.char.replace(np.datetime_as_string(solar, unit="D"), "-", "")
    names = zip(dates[pairs.before], dates[pairs.after], strict=True)
    return np.array([f"{location_id}_{before}_{after}" for before, after in names], dtype=object)


def _empty_events() -> gpd.GeoDataFrame:
    """No rows, with the columns and dtypes of the contract."""
    utc = "datetime64[ms, UTC]"
    numbers = dict.fromkeys(("clear_fraction", "magnitude", "change_ratio", "label_share"), "f4")
    types = {"time_before": utc, "time_after": utc, **numbers}
    columns = {name: pd.Series(dtype=types.get(name, "object")) for name in EVENT_COLUMNS}
    return gpd.GeoDataFrame(columns, geometry="geometry", crs=4326)


def save_events(events: gpd.GeoDataFrame, path: Path, metadata: Mapping[str, Any]) -> None:
    """Write GeoParquet, whole or not at all.

    Args:
        events: With `EVENT_COLUMNS`.
        path: Where to.
        metadata: Put into the file's own metadata, values as JSON (`emb:type`, `emb:dimensions`, …).

    Raises:
        OSError: The disk is full.
    """
    buffer = io.BytesIO()
    events[list(EVENT_COLUMNS)].to_parquet(buffer, index=False, compression="zstd", schema_version="1.1.0")
    table = pq.read_table(pa.BufferReader(buffer.getvalue()))
    for name in ("event_id", "location_id", "label"):
        # A column without any text would otherwise be stored as Arrow's null type.
        column = table.schema.get_field_index(name)
        table = table.set_column(column, name, table.column(name).cast(pa.string()))
    extra = {name.encode(): json.dumps(value).encode() for name, value in metadata.items()}
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), **extra})
    write_part(table, path)


def open_events(path: Path) -> gpd.GeoDataFrame:
    """Read an events file.

    Raises:
        StoreError: It is missing, damaged, or lacks columns.
    """
    try:
        events = gpd.read_parquet(path)
    except (OSError, ValueError, pa.ArrowException) as err:
        found = f"events {path} cannot be read ({first_line(err)})"
        raise StoreError(found, "a whole GeoParquet file", REMAKE) from err
    faults = check_events(events)
    if faults:
        raise StoreError(f"events {path}: {'; '.join(faults)}", "the events contract", REMAKE)
    return events


def check_events(events: gpd.GeoDataFrame) -> list[str]:
    """Every fault of an events table: columns, doubled ids, dates in the wrong order, values out of range."""
    lacking = [name for name in EVENT_COLUMNS if name not in events.columns]
    if lacking:
        return [f"columns {', '.join(lacking)} are missing"]
    faults = []
    if events["event_id"].duplicated().any():
        faults.append(f"{int(events['event_id'].duplicated().sum())} event ids stand twice")
    if (events["time_after"] <= events["time_before"]).any():
        faults.append("intervals that do not run forward")
    if not events["clear_fraction"].between(0, 1).all():
        faults.append("clear fractions outside 0 to 1")
    if not (events["magnitude"] >= 0).all():
        faults.append("magnitudes below 0")
    return faults
