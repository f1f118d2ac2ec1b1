"""Labels: polygons with a class and dates that name events. They are checked whole before anything else is done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyogrio.errors
import shapely
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_datetime64_any_dtype, is_numeric_dtype
from pyproj.exceptions import CRSError

from stac.errors import AreaError

from .parts import digest, first_line

LABEL_MIN_SHARE = 0.05
"""assumed: a labelled polygon names a chip when it covers at least this share of it (a road covers little)."""

MIN_OVERLAP = 0.5
"""assumed: half of the shorter one of interval and event: more would lose roads cut by a season's end, less would call
pairs positives that show mostly another time."""

_POLYGONS = (3, 6)
"""shapely's type ids of Polygon and MultiPolygon."""

_CONTRACT = "polygons with the columns class, start and end"


@dataclass(frozen=True, eq=False)
class Labels:
    """Checked labels."""

    table: gpd.GeoDataFrame
    """As `norm_labels` gives it."""
    sha256: str
    """Of what the labels say: the same whatever the file's format."""


def open_labels(path: Path) -> Labels:
    """Read and check a file of labels.

    Args:
        path: A vector file that geopandas reads, or GeoParquet.

    Raises:
        AreaError: It cannot be read, or `norm_labels` refuses it.
    """
    try:
        table = gpd.read_parquet(path) if path.suffix.lower() == ".parquet" else gpd.read_file(path)
    except (OSError, ValueError, pa.ArrowException, pyogrio.errors.DataSourceError, CRSError) as err:
        found = f"labels {path} cannot be read ({first_line(err)})"
        raise AreaError(found, "a vector file of polygons", "check --labels") from err
    table = norm_labels(table, f"labels {path}")
    rows = [shapely.to_wkb(geometry, hex=True, byte_order=1) for geometry in table.geometry]
    dates = [[moment.isoformat() for moment in table[name]] for name in ("start", "end")]
    return Labels(table, digest([rows, table["class"].tolist(), *dates]))


def norm_labels(table: pd.DataFrame, name: str = "labels") -> gpd.GeoDataFrame:
    """Canonical labels: columns `class` (text), `start`, `end` (UTC), `geometry` (valid polygons, EPSG:4326).

    Args:
        table: Polygons in a stated CRS with a class, a start and, optionally, an end (null: the start's day alone).
        name: What to call it in an error.

    Raises:
        AreaError: A column is missing; a class is no plain value; a date is none, or reversed; a shape is no polygon;
            the CRS is not stated; there is no polygon at all.
    """
    if not isinstance(table, gpd.GeoDataFrame) or table.active_geometry_name is None or not len(table):
        raise AreaError(f"{name}: holds no polygon", _CONTRACT, "give a vector file of polygons")
    lacking = {"class", "start"} - set(table.columns)
    if lacking:
        raise AreaError(
            f"{name}: there is no column {' and no column '.join(sorted(lacking))}", _CONTRACT, "add it to the file"
        )
    geometry = _norm_polygons(table.geometry, name)
    start = _norm_dates(table["start"], "start", name)
    _refuse(start.isna(), start, f"{name}: start", "a date for each polygon")
    end = _norm_dates(table["end"], "end", name).fillna(start) if "end" in table else start
    _refuse(end < start, end, f"{name}: end", "an end that is not before its start")
    columns = {"class": _norm_classes(table["class"], name), "start": start.array, "end": end.array}
    return gpd.GeoDataFrame(columns, geometry=geometry, crs=4326)


def _refuse(bad: pd.Series[bool] | NDArray[np.bool_], values: pd.Series, what: str, expected: str) -> None:
    """Name the first bad value and how many there are."""
    rows = np.flatnonzero(np.asarray(bad))
    if len(rows):
        more = f", and {len(rows) - 1} more" if len(rows) > 1 else ""
        value = " ".join(str(values.iloc[rows[0]]).split())[:60]
        raise AreaError(f"{what} {value} of feature {rows[0] + 1}{more}", expected, "correct the labels file")


def _norm_polygons(shapes: gpd.GeoSeries, name: str) -> NDArray[np.object_]:
    """Valid polygons in degrees."""
    if shapes.crs is None:
        raise AreaError(
            f"{name}: the coordinate system is not stated", "a file that states it", "add it (a .prj beside a .shp)"
        )
    plain = shapes.to_numpy()
    bad = ~np.isin(shapely.get_type_id(plain), _POLYGONS) | shapely.is_empty(plain)
    _refuse(bad, shapes.geom_type, f"{name}: shape", "polygons")
    degrees = shapely.force_2d(shapes.to_crs(4326).to_numpy())
    west, south, east, north = shapely.bounds(degrees).T
    inside = (west >= -540) & (east <= 540) & (south >= -90) & (north <= 90)  # false where not finite
    _refuse(~inside, pd.Series(west), f"{name}: longitude", "polygons on the globe, in the system that the file states")
    valid: NDArray[np.object_] = shapely.make_valid(degrees, method="structure", keep_collapsed=False)
    return valid


def _norm_classes(classes: pd.Series, name: str) -> list[str]:
    """Classes as text."""
    plain = classes.map(lambda value: isinstance(value, str | int | float | np.integer | np.floating))
    _refuse(~plain.astype(bool) & classes.notna(), classes, f"{name}: class", "one word or number for each polygon")
    text = [str(value).strip() if lacks is False else "" for value, lacks in zip(classes, classes.isna(), strict=True)]
    _refuse(np.array([not value for value in text]), classes, f"{name}: class", "a class for each polygon")
    return text


def _norm_dates(dates: pd.Series, column: str, name: str) -> pd.Series:
    """Dates in UTC, NaT where there is none."""
    if is_datetime64_any_dtype(dates):
        return pd.to_datetime(dates, utc=True).dt.as_unit("ms")
    numbers = is_numeric_dtype(dates) or is_bool_dtype(dates)  # a number could be a year or seconds
    text = dates.map(lambda value: str(value).strip(), na_action="ignore")
    out = pd.to_datetime(text, utc=True, format="ISO8601", errors="coerce")
    bad = dates.notna() if numbers else out.isna() & dates.notna()
    _refuse(bad, dates, f"{name}: {column}", "dates such as 2021-07-31")
    return out.dt.as_unit("ms")


def add_labels(events: gpd.GeoDataFrame, labels: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Name the events that show a labelled polygon, by the rule of `index.truth`.

    Args:
        events: As `index.events.new_events` makes them.
        labels: As `norm_labels` gives them.

    Returns:
        A copy whose `label` is the class of the polygon that covers most of the chip, among those that cover at least
        `LABEL_MIN_SHARE` of it and whose time from `start` to `end` overlaps the interval (before, after] by at least
        `MIN_OVERLAP` of the shorter one; `label_share` (float32) is that cover × the part of the polygon's time that
        lies in the interval, NaN where there is no label.
    """
    out = events.copy()
    chips, polygons = events.geometry.to_numpy(), labels.geometry.to_numpy()
    chip, polygon, share = cover_shares(chips, polygons)
    interval = (days_of(events["time_before"])[chip], days_of(events["time_after"])[chip])
    part, enough = time_parts(interval, label_days(labels, polygon))
    keep = np.nonzero(enough & (share >= LABEL_MIN_SHARE))[0]
    keep = keep[np.argsort(share[keep], kind="stable")]  # the largest share is written last
    column = out["label"].to_numpy(dtype=object, copy=True)
    column[chip[keep]] = labels["class"].to_numpy(dtype=object)[polygon[keep]]
    shown = out["label_share"].to_numpy(np.float32, copy=True)
    shown[chip[keep]] = share[keep] * part[keep]
    out["label"], out["label_share"] = column, shown
    return out


def cover_shares(
    chips: NDArray[np.object_], polygons: NDArray[np.object_]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Pairs of a chip and a polygon that meet, and the share of the chip that the polygon covers."""
    chip, polygon = shapely.STRtree(polygons).query(chips, predicate="intersects")
    return chip, polygon, shapely.area(shapely.intersection(chips[chip], polygons[polygon])) / shapely.area(chips[chip])


Span = tuple[NDArray[np.float64], NDArray[np.float64]]
"""(N,) first and last moments, days since 1970, UTC."""


def label_days(labels: gpd.GeoDataFrame, rows: NDArray[np.integer]) -> Span:
    """When some labelled events begin and end, to the end of the last day."""
    return days_of(labels["start"])[rows], days_of(labels["end"])[rows] + 1.0


def time_parts(interval: Span, event: Span) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(N,) the part of each event's time within its interval, 0 or less where they do not meet; if it is enough."""
    (before, after), (start, end) = interval, event
    overlap = np.minimum(after, end) - np.maximum(before, start)
    enough = (overlap > 0) & (overlap >= MIN_OVERLAP * np.minimum(after - before, end - start))
    return overlap / (end - start), enough


def days_of(moments: pd.Series) -> NDArray[np.float64]:
    """(N,) days since 1970, UTC."""
    plain = moments.dt.tz_localize(None).to_numpy().astype("datetime64[ms]")
    days: NDArray[np.float64] = plain.astype(np.int64) / 86_400_000.0
    return days
