"""The pipeline of a build: plan → observations, block by block and month by month → events → vectors → manifest.

Every step writes whole files and skips those that are there, so a build that was killed goes on where it stopped and
ends with the same rows and the same vectors. Pixels are read, embedded and dropped.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
import xarray as xr
from numpy.typing import NDArray
from tqdm import tqdm

from encoder.encoders import Encoder, open_encoder
from stac.cube import clear_mask, gather_chips, view_chips
from stac.errors import AreaError
from stac.files import lock, remove_leftovers
from stac.items import Scene, solar_days
from stac.lattice import Block, iter_blocks
from stac.read import Day, ReadOptions, iter_days

from .events import add_labels, new_events, open_events, save_events
from .manifest import MANIFEST, METRIC, STORE_VERSION, BlockParts, Manifest, Part, open_manifest, save_manifest
from .observations import ObservationRows, open_observations, save_observations
from .plan import ITEMS, BuildConfig, Plan, make_plan
from .vectors import new_shard, save_shard

LOG = logging.getLogger(__name__)

CHIPS_AT_ONCE = 2048
"""Chips that are cut and embedded together: bounds the copies beside the cube."""

_LIBRARIES = ("afterimage", "torch", "faiss-gpu-cuvs", "faiss-cpu", "rasterio", "numpy", "pyarrow")


def build_store(config: BuildConfig, *, progress: bool = False) -> Manifest:
    """Build a store, or finish one.

    Args:
        config: What is asked.
        progress: Show a progress bar on standard error.

    Returns:
        The manifest of the finished store.

    Raises:
        DataError: Bad input; whatever was already written stays.
        OSError: The disk is full; likewise.
    """
    store = Path(config.store)
    encoder = open_encoder(config.encoder, bands=config.bands, device=config.device, seed=config.seed)
    if not store.exists():
        # Nothing is left behind by a build that fails before its plan is written.
        try:
            return _build(config, encoder, store, progress)
        finally:
            _remove_if_bare(store)
    return _build(config, encoder, store, progress)


def _build(config: BuildConfig, encoder: Encoder, store: Path, progress: bool) -> Manifest:
    """The steps, under the store's lock."""
    labels = _open_labels(config)
    with lock(store):
        remove_leftovers(store)
        plan = make_plan(config, encoder)
        if (store / MANIFEST).is_file():
            return open_manifest(store)
        blocks = list(_covered_blocks(plan))
        steps = [(block, month, days) for block in blocks for month, days in _months(block, plan.scenes)]
        if not steps:
            raise AreaError(
                f"none of the {len(plan.scenes)} scenes lies over {plan.area.name}",
                "scenes over the area",
                "check the area, the period and the catalog",
            )
        with tqdm(steps, unit="part", disable=not progress, desc="observations") as bar:
            for block, month, days in bar:
                bar.set_postfix_str(f"{block.block_id} {month}")
                path = observations_path(store, block.block_id, month)
                if not path.is_file():
                    rows = observe(block, days, encoder, config)
                    save_observations(rows, path)
        parts = [
            _finish_block(store, block, config, encoder, labels)
            for block in tqdm(blocks, unit="block", disable=not progress, desc="events")
        ]
        manifest = _new_manifest(plan, encoder, store, [part for part in parts if part is not None])
        save_manifest(manifest, store)
        return manifest


def _remove_if_bare(store: Path) -> None:
    """Remove a folder that holds nothing but the lock."""
    if store.is_dir() and {path.name for path in store.iterdir()} <= {".lock"}:
        (store / ".lock").unlink(missing_ok=True)
        store.rmdir()


def observations_path(store: Path, block_id: str, month: str) -> Path:
    """Where the part of a block and month (`YYYY-MM`) stands."""
    return store / "observations" / f"{block_id}_{month}.parquet"


def _covered_blocks(plan: Plan) -> Iterator[Block]:
    """Blocks of the area over which at least one scene lies."""
    covered = shapely.union_all([scene.footprint for scene in plan.scenes])
    for block in iter_blocks(plan.area.geometry, plan.config.chip_size, plan.config.gsd, plan.config.block_px):
        if block.footprint.intersects(covered):
            yield block


def _months(block: Block, scenes: Sequence[Scene]) -> Iterator[tuple[str, dict[date, list[Scene]]]]:
    """The scenes over a block by calendar month of their solar day, then by solar day."""
    over = [scene for scene in scenes if scene.footprint.intersects(block.footprint)]
    days = solar_days(over)
    for month in sorted({day.strftime("%Y-%m") for day in days}):
        yield month, {day: found for day, found in sorted(days.items()) if day.strftime("%Y-%m") == month}


def observe(
    block: Block, days: Mapping[date, Sequence[Scene]], encoder: Encoder, config: BuildConfig
) -> ObservationRows:
    """Read and embed a block over some days.

    Args:
        block: The locations.
        days: Solar day → its scenes over the block.
        encoder: Names the bands to read.
        config: Thresholds and threads.

    Returns:
        One row for each location and day that a scene shows. A location wholly without data on a day has no row.
    """
    rows = ObservationRows(encoder.dim)
    options = ReadOptions(threads=config.threads)
    for day in iter_days(block, days, encoder.bands, min_clear=config.min_clear, options=options):
        if day.missing is not None:
            LOG.warning("%s %s: missing observation: %s", block.block_id, day.day, day.missing)
            _add_missing(rows, block, day, encoder.dim)
        else:
            _add_day(rows, block, day, encoder, config.min_clear)
    return rows


def _add_missing(rows: ObservationRows, block: Block, day: Day, dim: int) -> None:
    """Rows of a day that could not be read: neither clear fraction nor embedding."""
    count = len(block.locations)
    rows.add(
        [location.location_id for location in block.locations],
        [min(scene.time for scene in day.scenes)] * count,
        np.full(count, np.nan, np.float32),
        [[scene.item_id for scene in day.scenes]] * count,
        np.full((count, dim), np.nan, np.float16),
    )


def _add_day(rows: ObservationRows, block: Block, day: Day, encoder: Encoder, min_clear: float) -> None:
    """Rows of a day that was read: one for each location of the area in which some scene has a pixel."""
    assert day.clear is not None  # noqa: S101 - None only when the read failed
    assert day.seen is not None  # noqa: S101 - likewise
    row, col = np.nonzero(block.mask & day.seen.any(axis=0))
    clear = day.clear[row, col]
    embedding = np.full((len(row), encoder.dim), np.nan, np.float16)
    if day.cube is not None:
        wanted = np.flatnonzero(clear >= min_clear)
        embedding[wanted] = _embed_chips(day.cube, encoder, block.lattice.chip_size, row[wanted], col[wanted])
    behind = [[scene for scene, has in zip(day.scenes, seen, strict=True) if has] for seen in day.seen[:, row, col].T]
    top = block.row0 + block.nrows - 1
    rows.add(
        [block.lattice.location_id(block.col0 + int(c), top - int(r)) for r, c in zip(row, col, strict=True)],
        [min(scene.time for scene in scenes) for scenes in behind],
        clear,
        [[scene.item_id for scene in scenes] for scenes in behind],
        embedding,
    )


def _embed_chips(
    cube: xr.Dataset, encoder: Encoder, chip_size: int, row: NDArray[np.intp], col: NDArray[np.intp]
) -> NDArray[np.float16]:
    """Embeddings (n, D) float16 of the chips at (row, col), image order; cloudy pixels count for nothing."""
    clear = view_chips(clear_mask(cube["scl"].values[0]), chip_size)
    out = np.empty((len(row), encoder.dim), np.float16)
    for start in range(0, len(row), CHIPS_AT_ONCE):
        part = slice(start, start + CHIPS_AT_ONCE)
        chips = gather_chips(cube, encoder.bands, chip_size, row[part], col[part])
        out[part] = encoder.embed(chips, clear[row[part], col[part]])
    return out


def _open_labels(config: BuildConfig) -> gpd.GeoDataFrame | None:
    """The labelled polygons, in degrees."""
    if config.labels is None:
        return None
    try:
        return gpd.read_file(config.labels).to_crs(4326)
    except Exception as err:  # pyogrio and GDAL raise many kinds
        raise AreaError(
            f"labels {config.labels} cannot be read ({err})", "a vector file of polygons", "check --labels"
        ) from err


def _finish_block(
    store: Path, block: Block, config: BuildConfig, encoder: Encoder, labels: gpd.GeoDataFrame | None
) -> BlockParts | None:
    """Events and vectors of a block whose observations are all there."""
    paths = sorted((store / "observations").glob(f"{block.block_id}_*.parquet"))
    if not paths:
        return None
    events_path = store / "events" / f"{block.block_id}.parquet"
    vectors_path = store / "vectors" / f"{block.block_id}.faiss"
    if not (events_path.is_file() and vectors_path.is_file()):
        observations = open_observations(paths)
        events, vectors = new_events(observations, config.gsd, config.pairs, monthly=config.monthly)
        if labels is not None:
            events = add_labels(events, labels)
        save_shard(new_shard(vectors, config.factory), vectors_path)
        save_events(events, events_path, _event_metadata(config, encoder))
    count = len(open_events(events_path))
    top, left = block.row0 + block.nrows - 1, block.col0
    return BlockParts(
        block_id=block.block_id,
        epsg=block.lattice.epsg,
        cols=(left, left + block.ncols - 1),
        rows=(block.row0, top),
        observations=tuple(Part.of(store, path, _parquet_rows(path)) for path in paths),
        events=Part.of(store, events_path, count),
        vectors=Part.of(store, vectors_path, count),
    )


def _parquet_rows(path: Path) -> int:
    """Rows of a Parquet file, from its footer."""
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


def _event_metadata(config: BuildConfig, encoder: Encoder) -> dict[str, object]:
    """File metadata by the names of the STAC embeddings extension."""
    return {
        "emb:type": "chip-difference",
        "emb:dimensions": encoder.dim,
        "emb:chip_layout": {
            "layout_type": "regular_grid",
            "chip_size": [config.chip_size, config.chip_size],
            "stride": [config.chip_size, config.chip_size],
            "gsd": config.gsd,
        },
        "emb:quantization": {"observations": "float16", "vectors": "float32"},
        "emb:model": {"name": encoder.name, "sha256": encoder.sha256, "bands": list(encoder.bands)},
    }


def _new_manifest(plan: Plan, encoder: Encoder, store: Path, blocks: list[BlockParts]) -> Manifest:
    """The record of everything that was written."""
    config = plan.config
    return Manifest(
        version=STORE_VERSION,
        name=store.name,
        arguments=json.loads(json.dumps(asdict(config))),
        encoder={
            "name": encoder.name,
            "sha256": encoder.sha256,
            "bands": list(encoder.bands),
            "dim": encoder.dim,
        },
        metric=METRIC,
        factory=config.factory,
        chip_size=config.chip_size,
        gsd=config.gsd,
        area=shapely.geometry.mapping(plan.area.geometry),
        period=str(plan.period),
        simulated=plan.simulated,
        items=Part.of(store, store / ITEMS, plan.items_found),
        blocks=tuple(blocks),
        counts=_count(store, blocks),
        versions=_versions(),
    )


def _count(store: Path, blocks: Sequence[BlockParts]) -> dict[str, int]:
    """Locations, observations, embedded, missing, events."""
    counts = dict.fromkeys(("locations", "observations", "embedded", "missing", "events"), 0)
    for block in blocks:
        rows = open_observations([store / part.path for part in block.observations])
        counts["locations"] += len(np.unique(rows.location_id.astype(str)))
        counts["observations"] += len(rows)
        counts["embedded"] += int(rows.embedded.sum())
        counts["missing"] += int(np.isnan(rows.clear_fraction).sum())
        counts["events"] += block.events.rows
    return counts


def _versions() -> dict[str, str]:
    """Installed versions of what shapes the numbers."""
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
