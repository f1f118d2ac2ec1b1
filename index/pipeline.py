"""The pipeline of a build: plan → observations, block by block and month by month → events → vectors → manifest.

Every step writes whole files and skips those that are there, so a build that was killed goes on where it stopped and
ends with the same rows and the same vectors. Pixels are read, embedded and dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

import geopandas as gpd
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from tqdm import tqdm

from encoder.encoders import Encoder, open_encoder
from stac.blocks import Block, iter_blocks
from stac.buffers import Buffers
from stac.cube import clear_mask, gather_chips, view_chips
from stac.errors import AreaError
from stac.files import lock, remove_leftovers
from stac.items import Scene, nearest_first, solar_days
from stac.read import Day, ReadOptions, iter_days, meets

from .finish import events_path, finish_block, new_manifest, observations_path, vectors_path
from .manifest import MANIFEST, Manifest, open_manifest, save_manifest
from .observations import ObservationRows, count_observations, save_observations
from .plan import BuildConfig, Plan, make_plan

LOG = logging.getLogger(__name__)

CHIPS_AT_ONCE = 2048
"""Chips that are cut and embedded together: bounds the copies beside the cube."""


def build_store(config: BuildConfig, *, progress: bool = False, retry_missing: bool = False) -> Manifest:
    """Build a store, or finish one.

    Args:
        config: What is asked.
        progress: Show a progress bar on standard error.
        retry_missing: Read again the parts in which pixels could not be had.

    Returns:
        The manifest of the finished store.

    Raises:
        DataError: Bad input; whatever was already written stays.
        OSError: The disk is full; likewise.
    """
    store = Path(config.store)
    encoder = open_encoder(config.encoder, bands=config.bands, device=config.device, seed=config.seed)
    labels = _open_labels(config)
    fresh = not store.exists()
    try:
        with lock(store):
            remove_leftovers(store)
            plan = make_plan(config, encoder)
            if retry_missing:
                _forget_missing(store)
            if (store / MANIFEST).is_file():
                return open_manifest(store)
            return _write_store(store, plan, encoder, labels, progress)
    finally:
        if fresh:
            _remove_if_bare(store)


def _write_store(
    store: Path, plan: Plan, encoder: Encoder, labels: gpd.GeoDataFrame | None, progress: bool
) -> Manifest:
    """Observations, events, vectors, manifest: whatever is not there yet."""
    blocks = list(_covered_blocks(plan))
    steps = [(block, month, days) for block in blocks for month, days in _months(block, plan.scenes)]
    if not steps:
        raise AreaError(
            f"none of the {len(plan.scenes)} scenes lies over {plan.area.name}",
            "scenes over the area",
            "check the area, the period and the catalog",
        )
    buffers = Buffers()
    with tqdm(steps, unit="part", disable=not progress, desc="observations") as bar:
        for block, month, days in bar:
            bar.set_postfix_str(f"{block.block_id} {month}")
            path = observations_path(store, block.block_id, month)
            if not path.is_file():
                save_observations(observe(block, days, encoder, plan.config, buffers), path)
    finished = [
        finish_block(store, block, plan.config, encoder, labels)
        for block in tqdm(blocks, unit="block", disable=not progress, desc="events")
    ]
    manifest = new_manifest(plan, encoder, store, [parts for parts in finished if parts is not None])
    save_manifest(manifest, store)
    return manifest


def _forget_missing(store: Path) -> None:
    """Remove the parts that hold missing observations, and what was made of them."""
    parts = sorted((store / "observations").glob("*.parquet"))
    holes = [path for path in parts if count_observations(path).missing]
    for path in holes:
        (store / MANIFEST).unlink(missing_ok=True)
        block_id = path.stem.rsplit("_", 1)[0]
        events_path(store, block_id).unlink(missing_ok=True)
        vectors_path(store, block_id).unlink(missing_ok=True)
        path.unlink()


def _remove_if_bare(store: Path) -> None:
    """Remove a folder that holds nothing but the lock."""
    if store.is_dir() and {path.name for path in store.iterdir()} <= {".lock"}:
        (store / ".lock").unlink(missing_ok=True)
        store.rmdir()


def _covered_blocks(plan: Plan) -> Iterator[Block]:
    """Blocks of the area over which at least one scene lies."""
    for block in iter_blocks(plan.area.geometry, plan.config.chip_size, plan.config.gsd, plan.config.block_px):
        if any(meets(block, scene) for scene in plan.scenes):
            yield block


def _months(block: Block, scenes: Sequence[Scene]) -> Iterator[tuple[str, dict[date, list[Scene]]]]:
    """The scenes over a block by calendar month of their solar day, then by solar day."""
    over = [scene for scene in scenes if meets(block, scene)]
    meridian = block.lattice.epsg % 100 * 6 - 183  # of the block's zone
    days = {
        day: nearest_first(found, *block.centre, epsg=block.lattice.epsg)
        for day, found in solar_days(over, meridian).items()
    }
    for month in sorted({day.strftime("%Y-%m") for day in days}):
        yield month, {day: found for day, found in sorted(days.items()) if day.strftime("%Y-%m") == month}


def observe(
    block: Block,
    days: Mapping[date, Sequence[Scene]],
    encoder: Encoder,
    config: BuildConfig,
    buffers: Buffers | None = None,
) -> ObservationRows:
    """Read and embed a block over some days.

    Args:
        block: The locations.
        days: Solar day → its scenes over the block.
        encoder: Names the bands to read.
        config: Thresholds and threads.
        buffers: Memory to use again from block to block.

    Returns:
        One row for each location and day that a scene shows. A location wholly without data on a day has no row.
    """
    rows = ObservationRows(encoder.dim)
    options = ReadOptions(threads=config.threads)
    for day in iter_days(block, days, encoder.bands, min_clear=config.min_clear, options=options, buffers=buffers):
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
    batch = np.empty((min(CHIPS_AT_ONCE, len(row)), len(encoder.bands), chip_size, chip_size), np.uint16)
    for start in range(0, len(row), CHIPS_AT_ONCE):
        part = slice(start, start + CHIPS_AT_ONCE)
        chips = gather_chips(cube, encoder.bands, chip_size, row[part], col[part], out=batch)
        out[part] = encoder.embed(chips, clear[row[part], col[part]])
    return out


def _open_labels(config: BuildConfig) -> gpd.GeoDataFrame | None:
    """The labelled polygons, in degrees.

    Raises:
        AreaError: The file cannot be read.
    """
    if config.labels is None:
        return None
    try:
        return gpd.read_file(config.labels).to_crs(4326)
    except Exception as err:  # pyogrio and GDAL raise many kinds
        raise AreaError(
            f"labels {config.labels} cannot be read ({err})", "a vector file of polygons", "check --labels"
        ) from err
