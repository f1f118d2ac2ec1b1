"""Hits as a table, GeoJSON or GeoParquet."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Literal, get_args

import geopandas as gpd
import pandas as pd
import shapely
from shapely.geometry.base import BaseGeometry

from stac.antimeridian import split_polygons
from stac.files import write_whole

Format = Literal["table", "geojson", "geoparquet"]
FORMATS: tuple[str, ...] = get_args(Format)


def hits_geojson(hits: gpd.GeoDataFrame) -> str:
    """Hits as a GeoJSON FeatureCollection; times as ISO 8601, UTC.

    By RFC 7946: degrees, longitude first, within ±180; chips across the antimeridian are cut there (§3.1.9).
    """
    plain = hits.copy()
    plain.geometry = [_cut(outline) for outline in hits.geometry]
    for name in plain.columns:
        if isinstance(plain[name].dtype, pd.DatetimeTZDtype):
            plain[name] = plain[name].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    text: str = plain.to_json(drop_id=True, to_wgs84=True)
    return text


def _cut(outline: BaseGeometry) -> BaseGeometry:
    """An outline within ±180°, in two parts where it goes beyond; rings anticlockwise outside."""
    west, _, east, _ = outline.bounds
    if -180 <= west <= east <= 180:
        return outline
    return shapely.orient_polygons(split_polygons(outline))


def hits_table(hits: gpd.GeoDataFrame) -> str:
    """Hits as text in columns: rank, score, dates, change ratio, place, id."""
    if hits.empty:
        return "no hits: widen the area or the period"
    centres = shapely.get_coordinates(shapely.centroid(hits.geometry.to_numpy()))
    centres[:, 0] = (centres[:, 0] + 180) % 360 - 180  # a chip across the antimeridian goes beyond it
    frame = pd.DataFrame(
        {
            "rank": hits["rank"],
            "score": hits["score"].map("{:.3f}".format),
            "before": hits["time_before"].dt.strftime("%Y-%m-%d"),
            "after": hits["time_after"].dt.strftime("%Y-%m-%d"),
            "ratio": hits["change_ratio"].map("{:.2f}".format),
            "lon": [f"{lon:.5f}" for lon in centres[:, 0]],
            "lat": [f"{lat:.5f}" for lat in centres[:, 1]],
            "label": hits["label"].fillna("").astype(str),
            "event_id": hits["event_id"],
        }
    )
    return frame.to_string(index=False)


def write_hits(hits: gpd.GeoDataFrame, path: Path, form: Format) -> None:
    """Write hits to a file, whole or not at all; its folder is made where there is none.

    Raises:
        OSError: The disk is full, or the file cannot be written.
    """
    with write_whole(path) as temporary:
        temporary.write_bytes(hits_bytes(hits, form))


def hits_bytes(hits: gpd.GeoDataFrame, form: Format) -> bytes:
    """Hits in one of `FORMATS`, as the bytes of a file."""
    if form == "geojson":
        return hits_geojson(hits).encode()
    if form == "table":
        return (hits_table(hits) + "\n").encode()
    buffer = io.BytesIO()
    hits.to_parquet(buffer, index=False, compression="zstd", schema_version="1.1.0")
    return buffer.getvalue()
