"""The store: a folder with a manifest, observations, events and vectors, opened, checked and read.

| in the folder | holds |
| --- | --- |
| `manifest.json` | everything below, with row counts and SHA-256; written last |
| `plan.json` | the build's arguments and encoder; written first |
| `items.json` | the STAC items behind it |
| `observations/<block>_<YYYY-MM>.parquet` | observations of one block and month |
| `events/<block>.parquet` | events of one block |
| `vectors/<block>.faiss` | their change vectors, row for row |

The Parquet files' footers say what they were made from (`index/parts.py`).
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from stac.catalog import open_items
from stac.errors import StoreError
from stac.items import Scene, resolve_scenes
from stac.lattice import Location

from .events import open_events
from .manifest import BlockParts, Manifest, check_manifest, open_manifest
from .observations import open_observations
from .parts import REMAKE
from .vectors import VectorShard, open_shard

DEEP_CHECK_BYTES = 2_000_000_000
"""Stores up to this size have every SHA-256 compared when they are opened (about a second a gigabyte)."""


class Store:
    """An opened store. Events are read at once, vectors when first searched."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        """Use `open_store`.

        Args:
            path: The folder.
            manifest: Checked.
        """
        self.path = path
        self.manifest = manifest
        self._shards: dict[str, VectorShard] = {}

    @cached_property
    def events(self) -> gpd.GeoDataFrame:
        """Every event, shards one after another; the index is the row number in the whole store."""
        tables = [open_events(self.path / block.events.path) for block in self.manifest.blocks]
        for block, table in zip(self.manifest.blocks, tables, strict=True):
            if len(table) != block.events.rows:
                found = f"{self.path / block.events.path} holds {len(table)} events"
                raise StoreError(found, str(block.events.rows), REMAKE)
        filled = [table for table in tables if len(table)] or tables[:1]
        return gpd.GeoDataFrame(pd.concat(filled, ignore_index=True), geometry="geometry", crs=4326)

    @cached_property
    def area(self) -> BaseGeometry:
        """The area that was asked for, degrees."""
        return shapely.geometry.shape(self.manifest.area)

    @cached_property
    def centres(self) -> NDArray[np.float64]:
        """(N, 2) longitude and latitude of each event's chip centre, degrees within ±180."""
        points = shapely.get_coordinates(shapely.centroid(self.events.geometry.to_numpy()))
        points[:, 0] = (points[:, 0] + 180) % 360 - 180
        return points

    @cached_property
    def shard_rows(self) -> list[tuple[BlockParts, int]]:
        """Each block with the row in `events` at which its shard begins."""
        starts = np.cumsum([0] + [block.events.rows for block in self.manifest.blocks])
        return [(block, int(start)) for block, start in zip(self.manifest.blocks, starts, strict=False)]

    def shard(self, block: BlockParts) -> VectorShard:
        """The vectors of a block, opened once.

        Raises:
            StoreError: They cannot be read, or their number differs from the events'.
        """
        if block.block_id not in self._shards:
            shard = open_shard(self.path / block.vectors.path)
            if shard.count != block.events.rows or shard.dim != self.manifest.dim:
                raise StoreError(
                    f"{block.vectors.path} holds {shard.count} vectors of {shard.dim} numbers",
                    f"{block.events.rows} of {self.manifest.dim}",
                    REMAKE,
                )
            self._shards[block.block_id] = shard
        return self._shards[block.block_id]

    def block_of(self, location: Location) -> BlockParts | None:
        """The block that holds a location, or None."""
        for block in self.manifest.blocks:
            inside = block.cols[0] <= location.col <= block.cols[1] and block.rows[0] <= location.row <= block.rows[1]
            if block.epsg == location.lattice.epsg and inside:
                return block
        return None


def open_store(path: Path, *, verify: bool | None = None) -> Store:
    """Open a store and check it against its manifest.

    Args:
        path: The folder.
        verify: Compare every SHA-256; None means: for stores up to two gigabytes. Presence and sizes are always
            compared.

    Raises:
        StoreError: There is none, it is unfinished, of another version, or a file disagrees with the manifest.
    """
    manifest = open_manifest(path)
    small = sum(part.bytes for part in manifest.parts()) <= DEEP_CHECK_BYTES
    faults = check_manifest(manifest, path, deep=small if verify is None else verify)
    if faults:
        more = f" (and {len(faults) - 3} more)" if len(faults) > 3 else ""
        raise StoreError(
            f"the store {path} disagrees with its manifest: {'; '.join(faults[:3])}{more}",
            "the files as index.build left them",
            "restore these files, or run the same index.build command again: it makes them anew",
        )
    return Store(path, manifest)


def read_observations(store: Store, location_id: str) -> pd.DataFrame:
    """The time line of one location.

    Returns:
        Columns `location_id, time (UTC), clear_fraction, item_ids, embedding` (float16 or None), in order of time.

    Raises:
        StoreError: The store does not hold the location.
    """
    block = store.block_of(Location.from_id(location_id, store.manifest.gsd))
    if block is None:
        raise StoreError(
            f"location {location_id}",
            f"a location of the store {store.path.name}",
            "choose a place in the store's area",
        )
    paths = [store.path / part.path for part in block.observations]
    return open_observations(paths, (location_id, location_id)).to_frame()


def open_scenes(store: Store) -> dict[str, Scene]:
    """The scenes behind a store's observations, by item id.

    Raises:
        StoreError: The saved items cannot be read.
    """
    items = open_items(store.path / store.manifest.items.path)
    return {scene.item_id: scene for scene in resolve_scenes(items, store.manifest.encoder["bands"])}
