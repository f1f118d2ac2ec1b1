"""A store made of rows and vectors, without any imagery, and labels for it: for the tests of the evaluation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from index.events import save_events
from index.manifest import METRIC, STORE_VERSION, BlockParts, Manifest, Part, save_manifest
from index.store import Store, open_store
from index.vectors import new_shard, save_shard
from stac.lattice import Lattice, new_polygon

SIDE = 32
WEST = Lattice(32632, SIDE, 10)
EAST = Lattice(32634, SIDE, 10)
"""Two zones: twelve degrees, and so hundreds of kilometres, apart."""

Row = tuple[Lattice, int, str, str]
"""Lattice, column (row 15000 always), first date, last date."""

CHIP_ROW = 15_000


def write_store(folder: Path, rows: Sequence[Row], vectors: np.ndarray) -> Store:
    """A store of some rows, in their order; rows of one lattice must stand together."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "items.json").write_text("{}")
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    blocks = []
    for lattice in dict.fromkeys(row[0] for row in rows):
        own = [number for number, row in enumerate(rows) if row[0] == lattice]
        events, shard = folder / f"{lattice.epsg}.parquet", folder / f"{lattice.epsg}.faiss"
        save_events(_events([rows[number] for number in own]), events, {})
        save_shard(new_shard(unit[own].astype(np.float32)), shard)
        parts = (Part.of(folder, path, len(own)) for path in (events, shard))
        cols = [rows[number][1] for number in own]
        block = (str(lattice.epsg), lattice.epsg, (min(cols), max(cols)), (CHIP_ROW, CHIP_ROW), ())
        blocks.append(BlockParts(*block, *parts))
    save_manifest(_manifest(folder, blocks, vectors.shape[1]), folder)
    return open_store(folder)


def _events(rows: Sequence[Row]) -> gpd.GeoDataFrame:
    ids = [lattice.location_id(col, CHIP_ROW) for lattice, col, _, _ in rows]
    first, last = (pd.to_datetime([row[n] for row in rows], utc=True).astype("datetime64[ms, UTC]") for n in (2, 3))
    names = [f"{place}_{a:%Y%m%d}_{b:%Y%m%d}" for place, a, b in zip(ids, first, last, strict=True)]
    columns = {"event_id": names, "location_id": ids, "time_before": first, "time_after": last}
    ones = np.ones(len(rows), np.float32)
    columns |= {"clear_fraction": ones, "magnitude": ones, "change_ratio": ones, "label": [None] * len(rows)}
    columns["label_share"] = np.full(len(rows), np.nan, np.float32)
    return gpd.GeoDataFrame(columns, geometry=[r[0].outline(r[1], CHIP_ROW) for r in rows], crs=4326)


def _manifest(folder: Path, blocks: Sequence[BlockParts], dim: int) -> Manifest:
    return Manifest(
        version=STORE_VERSION,
        name=folder.name,
        arguments={"pairs": "yearly", "monthly": False},
        encoder={"name": "made up", "sha256": "0" * 64, "bands": ["B04"], "dim": dim},
        metric=METRIC,
        factory="Flat",
        chip_size=SIDE,
        gsd=10,
        area=json.loads(shapely.to_geojson(shapely.box(6, 40, 24, 50))),
        period="2020/2023",
        simulated=True,
        plan_sha256="",
        items=Part.of(folder, folder / "items.json", 0),
        blocks=tuple(blocks),
        counts={"locations": 0, "events": sum(block.events.rows for block in blocks)},
    )


def polygon(lattice: Lattice, col: int, share: float = 1.0, count: int = 1) -> shapely.Polygon:
    """A label over `count` chips from a column on, that covers a share of each (its southern part)."""
    west, south, _, north = lattice.bounds(col, CHIP_ROW)
    east, top = west + count * lattice.side, south + share * (north - south)
    return new_polygon(lattice.epsg, np.array([[west, south], [east, south], [east, top], [west, top]]))


def write_labels(path: Path, *features: tuple[shapely.Polygon, str, str, str], **more: Sequence[str]) -> Path:
    """GeoJSON of (polygon, class, start, end); `more` are further properties, one value a feature."""
    properties = [
        {"class": name, "start": start, "end": end, **{key: values[number] for key, values in more.items()}}
        for number, (_, name, start, end) in enumerate(features)
    ]
    shapes = [json.loads(shapely.to_geojson(feature[0])) for feature in features]
    content = [{"type": "Feature", "properties": p, "geometry": g} for p, g in zip(properties, shapes, strict=True)]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": content}))
    return path
